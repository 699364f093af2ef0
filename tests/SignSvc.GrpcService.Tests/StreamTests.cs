using System.Security.Cryptography;
using Google.Protobuf;
using SignSvc.Grpc.V1;
using StatusCode = SignSvc.Grpc.StatusCode;

namespace SignSvc.GrpcService.Tests;

public sealed class StreamTests(GrpcServer server)
{
    private const string SignStream = "signsvc.v1.Signing/SignStream";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Five_thousand_answers_come_as_they_are_ready_each_under_its_id()
    {
        const int count = 5000;
        await server.Admin.CallAsync<CreateKeyResponse>(
            "signsvc.v1.Keys/CreateKey", new CreateKeyRequest { Name = "stream-rsa", Purpose = KeyPurpose.Artifacts, Spec = "RSA_3072" });
        using var client = server.As(server.Service.AdminToken);
        var stream = await client.OpenAsync<SignStreamResponse>(SignStream);
        var sending = Task.Run(
            async () =>
            {
                // One in twenty is slow to sign: what follows it overtakes it.
                foreach (var chunk in Enumerable.Range(1, count).Chunk(50))
                    await stream.WriteAsync(chunk.Select(id => Request((ulong)id, id % 20 == 0 ? "stream-rsa" : "release")));
                stream.Complete();
            },
            Cancellation);

        var ids = new List<ulong>();
        while (await stream.ReadAsync() is { } answer)
        {
            Assert.True(answer.Result.Signed is not null, $"{answer}");
            Assert.Equal(answer.Id % 20 == 0 ? "RS256" : "ES256", answer.Result.Signed.Algorithm);
            ids.Add(answer.Id);
            if (answer.Id % 500 == 1)
                await VerifyAsync(answer);
        }

        await sending;
        Assert.Equal(StatusCode.Ok, (await stream.EndAsync()).Status);
        Assert.Equal(count, ids.Distinct().Count());
        Assert.Equal(count, ids.Count);
        Assert.NotEqual(ids.Order(), ids);
    }

    [Fact]
    public async Task A_fault_ends_its_request_alone()
    {
        using var client = server.As(server.Service.AdminToken);
        var stream = await client.OpenAsync<SignStreamResponse>(SignStream);
        await stream.WriteAsync(Request(1, "nobody"), new SignStreamRequest { Id = 2 }, Request(3, "release"));
        stream.Complete();
        var answers = new Dictionary<ulong, SignResult>();
        while (await stream.ReadAsync() is { } answer)
            answers.Add(answer.Id, answer.Result);

        Assert.Equal((int)StatusCode.NotFound, answers[1].Fault.Code);
        Assert.Equal((int)StatusCode.InvalidArgument, answers[2].Fault.Code);
        Assert.NotNull(answers[3].Signed);
        Assert.Equal(StatusCode.Ok, (await stream.EndAsync()).Status);
    }

    [Fact]
    public async Task A_client_that_does_not_read_is_not_read_from()
    {
        const int most = 20_000;
        const int chunk = 20;
        using var client = new GrpcClient(
            server.Address, server.Service.AdminToken, new SocketsHttpHandler { UseProxy = false, InitialHttp2StreamWindowSize = 65_535 });
        var stream = await client.OpenAsync<SignStreamResponse>(SignStream);
        var bulk = new SigningContext { Repository = new string('r', 1000), Commit = new string('c', 1000), Ref = new string('f', 1000), PipelineRun = new string('p', 1000) };
        var written = 0;
        Task? stalled = null;
        while (stalled is null && written < most)
        {
            var write = stream.WriteAsync(Enumerable.Range(written + 1, chunk).Select(id => Request((ulong)id, "release", bulk)));
            written += chunk;
            // A write that does not go through for so long waits for the service, not for the machine.
            if (await Task.WhenAny(write, Task.Delay(TimeSpan.FromSeconds(10), TimeProvider.System, Cancellation)) != write)
                stalled = write;
            else
                await write;
        }

        Assert.NotNull(stalled);
        Assert.InRange(written, chunk, most / 4);
        // It goes on as soon as the client reads, and nothing was lost.
        var finishing = stalled.ContinueWith(_ => stream.Complete(), TaskScheduler.Default);
        var answered = 0;
        while (await stream.ReadAsync() is not null)
            answered++;
        await finishing;
        Assert.Equal(written, answered);
    }

    [Fact]
    public async Task A_credential_that_is_revoked_ends_the_streams_it_opened()
    {
        using var client = server.As(await GrpcServer.NewCredentialAsync(server.Service, "stream-signer", "signer"));
        var stream = await client.OpenAsync<SignStreamResponse>(SignStream);
        await stream.WriteAsync(Request(1, "release"));
        Assert.NotNull((await stream.ReadAsync())!.Result.Signed);

        var revoked = await server.Service.Client.PostJsonAsync("/v1/credentials/stream-signer/revoke");
        Assert.Equal(200, revoked.Code);
        await stream.WriteAsync(Request(2, "release"));
        Assert.Null(await stream.ReadAsync());
        var end = await stream.EndAsync();
        Assert.Equal((StatusCode.Unauthenticated, "UNAUTHENTICATED"), (end.Status, end.Error.Reason));
    }

    private static SignStreamRequest Request(ulong id, string key, SigningContext? context = null) => new()
    {
        Id = id,
        Request = new SignRequest { Key = key, Digest = DigestOf(id), Context = context },
    };

    private static ByteString DigestOf(ulong id) => ByteString.CopyFrom(SHA256.HashData(BitConverter.GetBytes(id)));

    private async Task VerifyAsync(SignStreamResponse answer)
    {
        var verified = await server.Admin.CallAsync<VerifyResponse>(
            "signsvc.v1.Signing/Verify",
            new VerifyRequest { Key = answer.Result.Signed.KeyId, Digest = DigestOf(answer.Id), Signature = answer.Result.Signed.Signature });
        Assert.True(verified.Valid);
    }
}
