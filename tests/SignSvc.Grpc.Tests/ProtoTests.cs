namespace SignSvc.Grpc.Tests;

/// <summary>The protos that clients compile.</summary>
public sealed class ProtoTests
{
    [Fact]
    public Task They_pass_the_usual_lint_rules() => OutsideClients.BufAsync("lint");

    [Fact]
    public Task They_break_nothing_that_was_published() =>
        OutsideClients.BufAsync("breaking", "--against", OutsideClients.PublishedProtos);
}
