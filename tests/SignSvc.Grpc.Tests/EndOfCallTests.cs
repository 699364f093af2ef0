using SignSvc.Grpc.Tests.Interop;

namespace SignSvc.Grpc.Tests;

/// <summary>Deadlines, clients that give up, and a server that stops. Each test has a server of its own.</summary>
public sealed class EndOfCallTests : IAsyncLifetime
{
    private readonly GrpcServer _server = new();
    private RawClient _client = null!;

    [Fact]
    public async Task A_handler_is_cancelled_at_the_deadline_and_the_caller_is_told_so()
    {
        _server.Service.ExpectCancellation();
        var calling = _client.CallAsync("UnaryCall", RawClient.Frame([]), ("grpc-timeout", "1H"), ("x-await-cancel", "1"));
        await _server.Service.Waiting.Task.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, _server.Time.Timers);
        _server.Time.Advance(TimeSpan.FromHours(1));
        var answer = await calling;

        Assert.Equal(StatusCode.DeadlineExceeded, answer.Status);
        await GrpcServer.UntilAsync(() => _server.Time.Timers == 0, "A deadline's timer is left.");
    }

    [Fact]
    public async Task A_stream_that_waits_for_requests_ends_at_the_deadline()
    {
        var content = new OpenContent();
        using var request = RawClient.Request("StreamingInputCall", content, ("grpc-timeout", "1H"));
        _server.Service.ExpectCancellation();
        var answering = _client.SendAsync(request, TestContext.Current.CancellationToken);
        await content.WriteAsync(RawClient.Frame(new StreamingInputCallRequest { Payload = new Payload() }));
        await _server.Service.Waiting.Task.WaitAsync(TestContext.Current.CancellationToken);
        _server.Time.Advance(TimeSpan.FromHours(1));
        using var response = await answering;

        Assert.Equal("4", response.Headers.GetValues("grpc-status").Single());
        content.End();
    }

    [Fact]
    public async Task A_timeout_of_the_client_s_own_clock_is_kept_by_the_server_alone()
    {
        var answer = await _client.CallAsync("UnaryCall", RawClient.Frame([]), ("grpc-timeout", "50m"), ("x-await-cancel", "1"));

        Assert.Equal(StatusCode.DeadlineExceeded, answer.Status);
    }

    [Fact]
    public async Task The_shortest_timeouts_are_deadlines_too()
    {
        for (var i = 0; i < 200; i++)
        {
            var answer = await _client.CallAsync("UnaryCall", RawClient.Frame([]), ("grpc-timeout", $"{i * 10}u"), ("x-await-cancel", "1"));
            Assert.Equal(StatusCode.DeadlineExceeded, answer.Status);
        }
    }

    [Fact]
    public async Task A_deadline_is_told_to_the_handler()
    {
        var before = _server.Time.GetUtcNow();
        var answer = await _client.CallAsync("UnaryCall", RawClient.Frame([]), ("grpc-timeout", "2M"), ("x-report", "1"));
        var deadline = DateTimeOffset.Parse(answer.Parse(SimpleResponse.Parser).Payload.Body.ToStringUtf8().Split('|')[1]);

        Assert.InRange(deadline, before.AddMinutes(2), _server.Time.GetUtcNow().AddMinutes(2));
        await GrpcServer.UntilAsync(() => _server.Time.Timers == 0, "A deadline's timer is left.");
    }

    [Theory]
    [InlineData("0n", StatusCode.DeadlineExceeded)]
    [InlineData("99999999H", StatusCode.Ok)]
    [InlineData("", StatusCode.Internal)]
    [InlineData("5", StatusCode.Internal)]
    [InlineData("S", StatusCode.Internal)]
    [InlineData("-1S", StatusCode.Internal)]
    [InlineData("1.5S", StatusCode.Internal)]
    [InlineData("123456789S", StatusCode.Internal)]
    [InlineData("1s", StatusCode.Internal)]
    [InlineData("٣S", StatusCode.Internal)]
    public void A_timeout_is_one_to_eight_digits_and_a_unit(string header, StatusCode expected)
    {
        var known = Wire.TimeoutHeader.TryParse(header, out var timeout);

        Assert.Equal(expected, !known ? StatusCode.Internal : timeout == TimeSpan.Zero ? StatusCode.DeadlineExceeded : StatusCode.Ok);
        Assert.InRange(timeout, TimeSpan.Zero, Wire.TimeoutHeader.Longest);
    }

    [Theory]
    [InlineData("0S", StatusCode.DeadlineExceeded)]
    [InlineData("99999999H", StatusCode.Ok)]
    [InlineData("1s", StatusCode.Internal)]
    public async Task A_timeout_is_read_strictly(string header, StatusCode expected)
    {
        var answer = await _client.CallAsync("EmptyCall", RawClient.Frame([]), ("grpc-timeout", header));

        Assert.Equal(expected, answer.Status);
    }

    [Fact]
    public async Task A_reset_cancels_the_handler()
    {
        _server.Service.ExpectCancellation();
        using var gaveUp = new CancellationTokenSource();
        using var request = RawClient.Request("UnaryCall", new ByteArrayContent(RawClient.Frame([])), ("x-await-cancel", "1"));
        var answering = _client.SendAsync(request, gaveUp.Token);
        await _server.Service.Waiting.Task.WaitAsync(TestContext.Current.CancellationToken);
        await gaveUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answering);
        await _server.Service.Cancelled.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_reset_ends_a_stream_that_waits_for_requests()
    {
        _server.Service.ExpectCancellation();
        using var gaveUp = new CancellationTokenSource();
        var content = new OpenContent();
        using var request = RawClient.Request("StreamingInputCall", content);
        var answering = _client.SendAsync(request, gaveUp.Token);
        await content.WriteAsync(RawClient.Frame(new StreamingInputCallRequest { Payload = new Payload() }));
        await _server.Service.Waiting.Task.WaitAsync(TestContext.Current.CancellationToken);
        await gaveUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answering);
        await _server.Service.Cancelled.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_server_that_stops_ends_open_streams_as_unavailable()
    {
        var content = new OpenContent();
        using var request = RawClient.Request("StreamingInputCall", content);
        _server.Service.ExpectCancellation();
        var answering = _client.SendAsync(request, TestContext.Current.CancellationToken);
        await content.WriteAsync(RawClient.Frame(new StreamingInputCallRequest { Payload = new Payload() }));
        await _server.Service.Waiting.Task.WaitAsync(TestContext.Current.CancellationToken);
        var stopping = _server.StopAsync();
        using var response = await answering;

        Assert.Equal("14", response.Headers.GetValues("grpc-status").Single());
        content.End();
        await stopping;
    }

    [Fact]
    public async Task A_watch_of_health_tells_every_change_and_ends_when_the_server_stops()
    {
        using var watch = await InteropClients.StartPythonAsync(_server, "health_watch");
        Assert.Equal("SERVICE_UNKNOWN", await LineAsync());
        _server.Health.Set("watched", serving: true);
        Assert.Equal("SERVING", await LineAsync());
        _server.Health.Set("watched", serving: true);
        _server.Health.Set("watched", serving: false);
        Assert.Equal("NOT_SERVING", await LineAsync());
        _server.Health.Set("watched", serving: true);
        Assert.Equal("SERVING", await LineAsync());
        await _server.StopAsync();
        Assert.Equal("NOT_SERVING", await LineAsync());
        Assert.Equal("UNAVAILABLE", await LineAsync());
        await watch.WaitForExitAsync(TestContext.Current.CancellationToken);

        async Task<string?> LineAsync() => await watch.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken)
            ?? await watch.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
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
