using System.Net;
using System.Text;
using Google.Protobuf;
using SignSvc.Grpc.Tests.Interop;

namespace SignSvc.Grpc.Tests;

/// <summary>What goes over the wire, seen without a gRPC library.</summary>
public sealed class WireTests(GrpcServer server) : IClassFixture<GrpcServer>, IDisposable
{
    private readonly RawClient _client = new(server.Http2);

    [Fact]
    public async Task An_answer_is_one_frame_and_its_status_a_trailer()
    {
        var answer = await _client.CallAsync("UnaryCall", RawClient.Frame(new SimpleRequest { ResponseSize = 10 }));

        Assert.Equal(HttpStatusCode.OK, answer.Http);
        Assert.Equal("application/grpc", answer.ContentType);
        Assert.False(answer.IsTrailersOnly);
        Assert.Equal(StatusCode.Ok, answer.Status);
        Assert.Equal(10, answer.Parse(SimpleResponse.Parser).Payload.Body.Length);
        Assert.False(answer.Headers.ContainsKey("grpc-accept-encoding"));
    }

    [Fact]
    public async Task A_failure_before_the_first_message_is_headers_alone()
    {
        var answer = await _client.CallAsync("UnaryCall", RawClient.Frame(new SimpleRequest
        {
            ResponseStatus = new EchoStatus { Code = 9, Message = "50 % of ☺" },
        }));

        Assert.True(answer.IsTrailersOnly);
        Assert.Empty(answer.Body);
        Assert.Equal("50 %25 of %E2%98%BA", answer.Headers["grpc-message"]);
        Assert.Equal(StatusCode.FailedPrecondition, answer.Status);
    }

    [Theory]
    [InlineData("application/grpc", HttpStatusCode.OK)]
    [InlineData("application/grpc+proto", HttpStatusCode.OK)]
    [InlineData("Application/gRPC+Proto; charset=utf-8", HttpStatusCode.OK)]
    [InlineData("application/grpc+json", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/grpcfoo", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json", HttpStatusCode.UnsupportedMediaType)]
    public async Task Only_gRPC_s_content_types_are_taken(string contentType, HttpStatusCode expected)
    {
        var answer = await _client.CallAsync("EmptyCall", RawClient.Frame([]), ("content-type", contentType));

        Assert.Equal(expected, answer.Http);
        Assert.Equal(expected == HttpStatusCode.OK ? StatusCode.Ok : null, answer.Status);
    }

    [Fact]
    public async Task A_method_is_called_with_POST_alone()
    {
        var answer = await _client.CallAsync("EmptyCall", [], (":method", "PUT"));

        Assert.Equal(HttpStatusCode.MethodNotAllowed, answer.Http);
        Assert.Equal("POST", answer.Allow);
    }

    [Fact]
    public async Task Over_HTTP_1_a_call_is_told_to_upgrade()
    {
        using var client = new RawClient(server.Http1);
        var answer = await client.CallAsync("EmptyCall", RawClient.Frame([]), (":version", "1.1"));

        Assert.Equal(HttpStatusCode.UpgradeRequired, answer.Http);
    }

    [Theory]
    [InlineData("/grpc.testing.TestService/Nothing")]
    [InlineData("/grpc.testing.TestService/emptyCall%2F")]
    [InlineData("/no.Such/Method")]
    public async Task An_unknown_method_is_unimplemented(string path)
    {
        var answer = await _client.CallAsync("", RawClient.Frame([]), (":path", path));

        Assert.Equal(HttpStatusCode.OK, answer.Http);
        Assert.Equal(StatusCode.Unimplemented, answer.Status);
        Assert.True(answer.IsTrailersOnly);
    }

    [Fact]
    public async Task Requests_that_are_not_gRPC_pass_the_unimplemented_answer_by()
    {
        var answer = await _client.CallAsync("", [], (":path", "/no/page"), ("content-type", "application/json"));

        Assert.Equal(HttpStatusCode.NotFound, answer.Http);
    }

    [Fact]
    public async Task What_the_host_maps_is_what_the_caller_sees()
    {
        var answer = await _client.CallAsync("EmptyCall", RawClient.Frame([]), ("x-fail", "mapped"));

        Assert.Equal((StatusCode.FailedPrecondition, "Mapped by the host."), (answer.Status, answer.Message));
    }

    [Fact]
    public async Task What_nobody_maps_is_internal_and_says_nothing()
    {
        var answer = await _client.CallAsync("EmptyCall", RawClient.Frame([]), ("x-fail", "unexpected"));

        Assert.Equal((StatusCode.Internal, "The server failed."), (answer.Status, answer.Message));
    }

    [Fact]
    public async Task Binary_metadata_is_taken_with_and_without_padding_and_comma_joined()
    {
        var answer = await _client.CallAsync(
            "EmptyCall", RawClient.Frame([]), ("x-grpc-test-echo-trailing-bin", "AQ==,AgM, AQ,q6ur"));

        Assert.Equal("AQ,AgM,AQ,q6ur", answer.Trailers["x-grpc-test-echo-trailing-bin"]);
    }

    [Theory]
    [InlineData("!!!!")]
    [InlineData("AAAAA")]
    public async Task Binary_metadata_that_is_not_base64_fails_the_call(string value)
    {
        var answer = await _client.CallAsync("EmptyCall", RawClient.Frame([]), ("x-grpc-test-echo-trailing-bin", value));

        Assert.Equal(StatusCode.Internal, answer.Status);
    }

    [Fact]
    public async Task A_call_knows_its_peer_and_its_metadata()
    {
        var answer = await _client.CallAsync(
            "UnaryCall", RawClient.Frame(new SimpleRequest()), ("x-report", "1"), ("x-many", "a"), ("x-many", "b"));

        var report = answer.Parse(SimpleResponse.Parser).Payload.Body.ToStringUtf8().Split('|');
        Assert.StartsWith("ipv4:127.0.0.1:", report[0], StringComparison.Ordinal);
        Assert.Equal("", report[1]);
        Assert.Equal(["a", "b"], report[2].Split(',', StringSplitOptions.TrimEntries));
    }

    [Fact]
    public async Task A_compressed_answer_says_so_and_is_smaller()
    {
        var request = RawClient.Frame(new SimpleRequest { ResponseSize = 100_000, ResponseCompressed = new BoolValue { Value = true } });
        var answer = await _client.CallAsync("UnaryCall", request, ("grpc-accept-encoding", "identity, deflate, gzip"));

        Assert.Equal("gzip", answer.Headers["grpc-encoding"]);
        Assert.Equal(1, answer.Body[0]);
        Assert.InRange(answer.Body.Length, 1, 10_000);
        Assert.Equal(100_000, answer.Parse(SimpleResponse.Parser).Payload.Body.Length);

        var plain = await _client.CallAsync("UnaryCall", request, ("grpc-accept-encoding", "identity,deflate"));
        Assert.Equal(0, plain.Body[0]);
        Assert.False(plain.Headers.ContainsKey("grpc-encoding"));
    }

    [Fact]
    public async Task A_compressed_request_without_an_encoding_is_internal()
    {
        var body = RawClient.Frame(RawClient.Gzip(new SimpleRequest { ResponseSize = 1 }.ToByteArray()), flags: 1);

        Assert.Equal(StatusCode.Internal, (await _client.CallAsync("UnaryCall", body)).Status);
        Assert.Equal(StatusCode.Internal, (await _client.CallAsync("UnaryCall", body, ("grpc-encoding", "identity"))).Status);
        Assert.Equal(StatusCode.Ok, (await _client.CallAsync("UnaryCall", body, ("grpc-encoding", "gzip"))).Status);
    }

    [Fact]
    public async Task Nothing_compressed_to_nothing_is_an_empty_message()
    {
        var answer = await _client.CallAsync("EmptyCall", RawClient.Frame([], flags: 1), ("grpc-encoding", "gzip"));

        Assert.Equal(StatusCode.Ok, answer.Status);
    }

    [Fact]
    public async Task An_unknown_encoding_is_unimplemented_and_the_known_ones_are_listed()
    {
        var answer = await _client.CallAsync("EmptyCall", RawClient.Frame([]), ("grpc-encoding", "snappy"));

        Assert.Equal(StatusCode.Unimplemented, answer.Status);
        Assert.Equal("identity,gzip", answer.Headers["grpc-accept-encoding"]);
    }

    [Fact]
    public async Task A_message_that_swells_beyond_the_limit_is_refused_before_it_has_swollen()
    {
        // 256 MiB of zeros in 256 KiB.
        var bomb = RawClient.Gzip(new byte[1 << 20], times: 256);
        var answer = await _client.CallAsync("UnaryCall", RawClient.Frame(bomb, flags: 1), ("grpc-encoding", "gzip"));
        Assert.Equal(StatusCode.ResourceExhausted, answer.Status);

        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<GrpcException>(() => Wire.Gzip.Decompress(new(bomb), limit: 4 << 20));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20 << 20);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(9)]
    public async Task A_cut_gzip_message_is_internal(int missing)
    {
        var whole = RawClient.Gzip(new SimpleRequest { Payload = new Payload { Body = ByteString.CopyFrom(new byte[5000]) } }.ToByteArray());
        var answer = await _client.CallAsync("UnaryCall", RawClient.Frame(whole.AsSpan(0, whole.Length - missing), flags: 1), ("grpc-encoding", "gzip"));

        Assert.Equal(StatusCode.Internal, answer.Status);
    }

    [Fact]
    public async Task A_length_beyond_the_limit_is_refused_before_the_message_comes()
    {
        var content = new OpenContent();
        using var request = RawClient.Request("UnaryCall", content);
        var answering = _client.SendAsync(request, TestContext.Current.CancellationToken);
        await content.WriteAsync([0, 0xFF, 0xFF, 0xFF, 0xFF]);
        using var response = await answering;

        Assert.Equal("8", response.Headers.GetValues("grpc-status").Single());
        content.End();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public async Task A_unary_method_takes_exactly_one_request(int requests)
    {
        var body = Enumerable.Range(0, requests).SelectMany(_ => RawClient.Frame([])).ToArray();

        Assert.Equal(StatusCode.Unimplemented, (await _client.CallAsync("EmptyCall", body)).Status);
    }

    [Fact]
    public async Task A_message_in_many_pieces_is_one_message()
    {
        var content = new OpenContent();
        using var request = RawClient.Request("UnaryCall", content);
        var answering = _client.SendAsync(request, TestContext.Current.CancellationToken);
        foreach (var b in RawClient.Frame(new SimpleRequest { ResponseSize = 77, Payload = new Payload { Body = ByteString.CopyFrom(new byte[50]) } }))
            await content.WriteAsync([b]);
        content.End();
        using var response = await answering;
        var answer = new RawAnswer(response, await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));

        Assert.Equal(77, answer.Parse(SimpleResponse.Parser).Payload.Body.Length);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task gRPC_Web_sends_its_trailers_as_the_last_frame(string version)
    {
        using var client = new RawClient(version is "1.1" ? server.Http1 : server.Http2);
        var answer = await client.CallAsync(
            "UnaryCall", RawClient.Frame(new SimpleRequest { ResponseSize = 10 }),
            (":version", version), ("content-type", "application/grpc-web+proto"), ("x-grpc-test-echo-trailing-bin", "AQ"));

        Assert.Equal("application/grpc-web+proto", answer.ContentType);
        AssertWebBody(answer.Body);
    }

    [Fact]
    public async Task gRPC_Web_text_is_base64_both_ways()
    {
        using var client = new RawClient(server.Http1);
        var request = Encoding.ASCII.GetBytes(Convert.ToBase64String(RawClient.Frame(new SimpleRequest { ResponseSize = 10 })));
        var answer = await client.CallAsync(
            "UnaryCall", request,
            (":version", "1.1"), ("content-type", "application/grpc-web-text"), ("x-grpc-test-echo-trailing-bin", "AQ"));

        // Each frame is base64 of its own, padded or not: taken apart at the paddings.
        var text = Encoding.ASCII.GetString(answer.Body);
        var bytes = new List<byte>();
        for (var i = 0; i < text.Length; i += 4)
            bytes.AddRange(Convert.FromBase64String(text.Substring(i, 4)));
        AssertWebBody(bytes.ToArray());

        var garbage = await client.CallAsync(
            "UnaryCall", "*not base64*"u8.ToArray(), (":version", "1.1"), ("content-type", "application/grpc-web-text"));
        Assert.Equal(StatusCode.Internal, garbage.Status);
    }

    public void Dispose() => _client.Dispose();

    private static void AssertWebBody(byte[] body)
    {
        var length = (int)System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(body.AsSpan(1));
        Assert.Equal(10, SimpleResponse.Parser.ParseFrom(body, 5, length).Payload.Body.Length);
        var trailers = body.AsSpan(5 + length);
        Assert.Equal(0x80, trailers[0]);
        Assert.Equal("grpc-status: 0\r\nx-grpc-test-echo-trailing-bin: AQ\r\n", Encoding.ASCII.GetString(trailers[5..]));
    }
}
