using System.Buffers.Binary;
using BenchmarkDotNet.Attributes;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using SignSvc.Grpc;
using SignSvc.Grpc.V1;

namespace SignSvc.Benchmarks;

/// <summary>A gRPC call without the network: frames are read, the message is parsed, the handler answers at once, frames are written.</summary>
public class GrpcParts
{
    private const int FrameHead = 5;

    private readonly IssueResponse _answer = new() { Token = new string('t', 600), Kid = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", TokenId = "id" };
    private readonly IssueRequest _request = new() { Profile = "default", Subject = "build-42", Audiences = { "api://deploy" }, LifetimeSeconds = 300 };
    private WebApplication _app = null!;
    private RequestDelegate _issue = null!;
    private byte[] _frame = [];

    [GlobalSetup]
    public void Prepare()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        _app = builder.Build();
        _app.MapGrpcService(
            TokensReflection.Descriptor.Services[0], methods => methods.Unary<IssueRequest, IssueResponse>("Issue", (_, _) => ValueTask.FromResult(_answer)));
        _issue = ((IEndpointRouteBuilder)_app).DataSources.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
            .First(e => e.RoutePattern.RawText!.EndsWith("/Issue", StringComparison.Ordinal)).RequestDelegate!;
        _frame = new byte[FrameHead + _request.CalculateSize()];
        BinaryPrimitives.WriteInt32BigEndian(_frame.AsSpan(1), _frame.Length - FrameHead);
        _request.WriteTo(_frame.AsSpan(FrameHead));
    }

    [Benchmark(Description = "parse the request and write the answer, protobuf alone")]
    public int Protobuf() => IssueRequest.Parser.ParseFrom(_frame.AsSpan(FrameHead)).Subject.Length + _answer.ToByteArray().Length;

    [Benchmark(Description = "a whole unary call, frames and all")]
    public async Task<long> CallAsync()
    {
        var http = new DefaultHttpContext { RequestServices = _app.Services };
        http.Features.Set<IHttpResponseTrailersFeature>(new Trailers());
        http.Request.Method = "POST";
        http.Request.Protocol = "HTTP/2";
        http.Request.ContentType = "application/grpc";
        http.Request.Body = new MemoryStream(_frame);
        using var answer = new MemoryStream();
        http.Response.Body = answer;
        await _issue(http);
        // A server flushes what is left when the call has ended.
        await http.Response.BodyWriter.FlushAsync();
        return answer.Length > FrameHead ? answer.Length : throw new InvalidOperationException($"The call had no answer: {http.Response.StatusCode} {string.Join(", ", http.Response.Headers)}");
    }

    [GlobalCleanup]
    public async Task EndAsync() => await _app.DisposeAsync();

    private sealed class Trailers : IHttpResponseTrailersFeature
    {
        IHeaderDictionary IHttpResponseTrailersFeature.Trailers { get; set; } = new HeaderDictionary();
    }
}
