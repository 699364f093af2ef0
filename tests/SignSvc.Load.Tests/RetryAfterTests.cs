using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Microsoft.AspNetCore.Http;
using SignSvc.Grpc.Rpc;
using SignSvc.Load.Calls;
using SignSvc.Load.Running;

namespace SignSvc.Load.Tests;

/// <summary>Whether a refusal says when to come again, by each protocol.</summary>
public sealed class RetryAfterTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Protocol.Http1, true)]
    [InlineData(Protocol.Http1, false)]
    [InlineData(Protocol.Http2, true)]
    [InlineData(Protocol.Http2, false)]
    [InlineData(Protocol.Grpc, true)]
    [InlineData(Protocol.Grpc, false)]
    public async Task A_refusal_is_known_to_say_when_to_come_again(Protocol protocol, bool says)
    {
        await using var service = await StubService.StartAsync(http => protocol == Protocol.Grpc ? RefuseGrpc(http, says) : Refuse(http, says), Cancel);
        await using var transport = service.Target.Open(protocol);
        var answer = await transport.SendAsync(new ServiceCalls("any").Sign("any"), Cancel);

        Assert.Equal(503, answer.Status);
        Assert.Equal(says ? TimeSpan.FromSeconds(7) : null, answer.RetryAfter);
    }

    [Theory]
    [InlineData(2, true, 3)]
    [InlineData(2, false, 1)]
    [InlineData(int.MaxValue, true, 30)]
    public async Task A_call_that_has_to_succeed_comes_again_when_it_is_asked_to(int refusals, bool says, int asked)
    {
        var calls = 0;
        await using var service = await StubService.StartAsync(Answer, Cancel);
        await using var transport = service.Target.Open(Protocol.Http1);
        var accepted = transport.MustAsync(new ServiceCalls("any").Sign("any"), Cancel);
        if (refusals < asked)
            Assert.Equal(200, (await accepted).Status);
        else
            Assert.Contains("answered 503", (await Assert.ThrowsAsync<InvalidOperationException>(() => accepted)).Message, StringComparison.Ordinal);
        Assert.Equal(asked, service.Asked);

        Task Answer(HttpContext http)
        {
            http.Response.StatusCode = ++calls > refusals ? 200 : 503;
            if (says)
                http.Response.Headers.RetryAfter = "0";
            return Task.CompletedTask;
        }
    }

    [Fact]
    public void One_refusal_that_does_not_say_so_is_enough_to_miss_the_threshold()
    {
        var flow = new FlowResult("flow");
        Assert.False(Threshold.RefusalsSayWhen.Holds(flow), "Nobody was refused: it is not known.");
        flow.Refusal("503", saysWhen: true);
        Assert.True(Threshold.RefusalsSayWhen.Holds(flow));
        flow.Refusal("503", saysWhen: false);
        Assert.False(Threshold.RefusalsSayWhen.Holds(flow));
    }

    [Fact]
    public void A_caller_whose_calls_all_have_to_succeed_may_not_be_refused_either()
    {
        var flow = new FlowResult("flow");
        Assert.False(Threshold.EveryCallSucceeds.Holds(flow), "Nobody called.");
        flow.Success("200", TimeSpan.FromMilliseconds(1));
        Assert.True(Threshold.EveryCallSucceeds.Holds(flow));
        flow.Refusal("429", saysWhen: true);
        Assert.False(Threshold.EveryCallSucceeds.Holds(flow));
    }

    private static Task Refuse(HttpContext http, bool says)
    {
        http.Response.StatusCode = 503;
        if (says)
            http.Response.Headers.RetryAfter = "7";
        return http.Response.WriteAsync("no");
    }

    private static Task RefuseGrpc(HttpContext http, bool says)
    {
        var status = new Status { Code = 14, Message = "no" };
        status.Details.Add(Any.Pack(new ErrorInfo { Reason = "OVERLOADED" }));
        if (says)
            status.Details.Add(Any.Pack(new RetryInfo { RetryDelay = Duration.FromTimeSpan(TimeSpan.FromSeconds(7)) }));
        http.Response.ContentType = "application/grpc";
        http.Response.Headers["grpc-status"] = "14";
        http.Response.Headers["grpc-status-details-bin"] = Convert.ToBase64String(status.ToByteArray()).TrimEnd('=');
        return Task.CompletedTask;
    }
}
