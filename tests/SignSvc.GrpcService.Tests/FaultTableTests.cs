using SignSvc.Grpc;
using SignSvc.Grpc.Rpc;
using SignSvc.Http;
using SignSvc.Signing;

namespace SignSvc.GrpcService.Tests;

/// <summary>HTTP and gRPC say the same of every fault.</summary>
public sealed class FaultTableTests
{
    public static TheoryData<SigningFault> All => [.. Enum.GetValues<SigningFault>()];

    [Theory]
    [MemberData(nameof(All))]
    public void A_fault_has_the_same_code_over_gRPC_as_over_HTTP(SigningFault fault)
    {
        var exception = new SigningException(fault, "In words.") { AuditId = "local-7" };
        var problem = Problems.Of(exception);
        var status = Faults.Of(exception);
        var info = Assert.Single(status.Details.OfType<ErrorInfo>());

        Assert.Equal(problem.Type, $"urn:signsvc:problem:{info.Reason.ToLowerInvariant().Replace('_', '-')}");
        Assert.Equal("signsvc", info.Domain);
        Assert.Equal("local-7", info.Metadata["auditId"]);
        Assert.Equal("In words.", status.Message);
        Assert.Equal(problem.Status is 429 or 503, status.Details.OfType<RetryInfo>().Any());
        Assert.Contains(status.Status, ClassOf(problem.Status));
        Assert.Equal(status.Details.Count, status.ToStatus().Details.Count);
    }

    [Fact]
    public void The_wait_is_never_shorter_than_what_the_service_knows()
    {
        var status = Faults.Of(new SigningException(SigningFault.Overloaded, "Full.") { RetryAfter = TimeSpan.FromSeconds(5) });
        var delay = status.Details.OfType<RetryInfo>().Single().RetryDelay.ToTimeSpan();
        Assert.InRange(delay, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(7));
    }

    [Fact]
    public void What_is_no_fault_of_ours_is_left_to_the_protocol() => Assert.Null(Faults.Of(new InvalidOperationException("secret")));

    /// <summary>What gRPC may say where HTTP says this: it tells 400, 409 and 422 apart more finely.</summary>
    private static StatusCode[] ClassOf(int http) => http switch
    {
        400 => [StatusCode.InvalidArgument, StatusCode.FailedPrecondition],
        401 => [StatusCode.Unauthenticated],
        403 => [StatusCode.PermissionDenied],
        404 => [StatusCode.NotFound],
        409 => [StatusCode.AlreadyExists, StatusCode.Aborted, StatusCode.FailedPrecondition],
        412 => [StatusCode.Aborted],
        413 or 429 => [StatusCode.ResourceExhausted],
        422 => [StatusCode.FailedPrecondition],
        503 => [StatusCode.Unavailable],
        504 => [StatusCode.DeadlineExceeded],
        _ => [StatusCode.Internal],
    };
}
