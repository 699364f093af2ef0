using System.Net;
using Google.Protobuf;
using SignSvc.Grpc.Tests.Interop;

namespace SignSvc.Grpc.Tests;

/// <summary>Handles and memory of the process are counted: nothing else runs beside.</summary>
[CollectionDefinition(nameof(AloneInTheProcess), DisableParallelization = true)]
public sealed class AloneInTheProcess;

/// <summary>Bytes that break the protocol. The seed is fixed: a failure comes again.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class MalformedTests(GrpcServer server) : IClassFixture<GrpcServer>
{
    private const int Seed = 20_260_801;
    private const int Requests = 10_000;
    private const int AtOnce = 16;

    private static readonly StatusCode[] Protocol = [StatusCode.Internal];
    private static readonly StatusCode[] TooLarge = [StatusCode.ResourceExhausted];

    // Random bytes are a message now and then, and flipped bits often are.
    private static readonly StatusCode[] Any = [StatusCode.Ok, StatusCode.Internal, StatusCode.ResourceExhausted, StatusCode.Unimplemented];

    [Fact]
    public async Task Each_of_10_000_broken_requests_ends_with_a_status_and_leaves_nothing_behind()
    {
        using var client = new RawClient(server.Http2);
        await BreakAsync(client, new Random(Seed - 1), 200);
        var handles = Handles();
        var memory = GC.GetTotalMemory(forceFullCollection: true);

        await BreakAsync(client, new Random(Seed), Requests);

        var answer = await client.CallAsync("UnaryCall", RawClient.Frame(new SimpleRequest { ResponseSize = 3 }));
        Assert.Equal(StatusCode.Ok, answer.Status);
        await GrpcServer.UntilAsync(() => server.Service.Running == 0, "A handler runs still.");
        await GrpcServer.UntilAsync(() => server.Time.Timers == 0, "A deadline's timer is left.");
        await GrpcServer.UntilAsync(() => Handles() <= handles + 8, "Handles are left.");
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true), 0, memory + (8 << 20));
    }

    private static async Task BreakAsync(RawClient client, Random random, int count)
    {
        // The requests are drawn in order, then sent side by side.
        var requests = Enumerable.Range(0, count).Select(_ => Draw(random)).ToArray();
        await Parallel.ForEachAsync(
            requests,
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = TestContext.Current.CancellationToken },
            async (request, _) =>
            {
                var answer = await client.CallAsync(request.Method, request.Body, request.Headers);
                Assert.Equal(HttpStatusCode.OK, answer.Http);
                Assert.True(
                    answer.Status is { } status && request.Expected.Contains(status),
                    $"{request.Kind} on {request.Method} ended with {answer.Status} {answer.Message}: {Convert.ToHexString(request.Body)}");
            });
    }

    private static BrokenRequest Draw(Random random)
    {
        var method = random.Next(3) switch { 0 => "UnaryCall", 1 => "StreamingOutputCall", _ => "StreamingInputCall" };
        var valid = RawClient.Frame(new SimpleRequest
        {
            Payload = new Payload { Body = ByteString.CopyFrom(Bytes(random, random.Next(1, 300))) },
            ResponseSize = random.Next(100),
        });
        return random.Next(8) switch
        {
            0 => new("truncated", method, valid[..random.Next(1, valid.Length)], Protocol),
            1 => new("wrong flags", method, With(valid, 0, (byte)random.Next(2, 256)), Protocol),
            2 => new("4 GB length", method, RawClient.Frame(Bytes(random, random.Next(50)), length: uint.MaxValue - (uint)random.Next(1 << 20)), TooLarge),
            3 => new("length within 4 GB", method, RawClient.Frame([], length: (uint)random.NextInt64((4 << 20) + 1, uint.MaxValue)), TooLarge),
            4 => new("garbage", method, RawClient.Frame(Bytes(random, random.Next(1, 400))), Any),
            5 => new("flipped bit", method, Flip(random, valid), Any),
            6 => new("compressed without encoding", method, With(valid, 0, 1), Protocol),
            _ => new("garbage as gzip", method, With(valid, 0, 1), Protocol) { Headers = [("grpc-encoding", "gzip")] },
        };
    }

    private static byte[] Bytes(Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    private static byte[] With(byte[] frame, int at, byte value)
    {
        frame[at] = value;
        return frame;
    }

    private static byte[] Flip(Random random, byte[] frame)
    {
        frame[random.Next(frame.Length)] ^= (byte)(1 << random.Next(8));
        return frame;
    }

    private static int Handles() => Directory.EnumerateFileSystemEntries("/proc/self/fd").Count();

    private sealed record BrokenRequest(string Kind, string Method, byte[] Body, StatusCode[] Expected)
    {
        public (string, string)[] Headers { get; init; } = [];
    }
}
