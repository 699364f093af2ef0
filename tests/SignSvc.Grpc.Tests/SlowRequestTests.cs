using Microsoft.AspNetCore.Server.Kestrel.Core;
using SignSvc.Grpc.Tests.Interop;

namespace SignSvc.Grpc.Tests;

/// <summary>
/// Kestrel cuts bodies that come too slowly, which is right for one request and wrong for a stream. It counts in real
/// seconds: the tests have to let some pass.
/// </summary>
public sealed class SlowRequestTests : IAsyncLifetime
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1.1);

    private readonly GrpcServer _server = new() { RequestRate = new MinDataRate(bytesPerSecond: 1_000_000, Grace) };
    private RawClient _client = null!;

    [Fact]
    public async Task A_silent_stream_is_left_alone_while_a_request_that_trickles_is_cut()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var stream = new OpenContent();
        using var streaming = RawClient.Request("StreamingInputCall", stream);
        var answering = _client.SendAsync(streaming, cancellation);
        await stream.WriteAsync(RawClient.Frame(new StreamingInputCallRequest { Payload = new Payload() }));

        // On a connection of its own: Kestrel cuts the connection.
        using var slow = new RawClient(_server.Http2);
        using var trickling = RawClient.Request("UnaryCall", new OpenContent());
        var cut = await Record.ExceptionAsync(() => slow.SendAsync(trickling, cancellation));
        Assert.True(cut is HttpRequestException or TaskCanceledException { InnerException: not TimeoutException }, $"{cut}");
        Assert.False(cancellation.IsCancellationRequested);

        await Task.Delay(3 * Grace, TimeProvider.System, cancellation);
        await stream.WriteAsync(RawClient.Frame(new StreamingInputCallRequest { Payload = new Payload() }));
        stream.End();
        using var response = await answering;
        var answer = new RawAnswer(response, await response.Content.ReadAsByteArrayAsync(cancellation));
        Assert.Equal(StatusCode.Ok, answer.Status);
    }

    public async ValueTask InitializeAsync()
    {
        await _server.InitializeAsync();
        _client = new RawClient(_server.Http2);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
    }
}
