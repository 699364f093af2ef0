namespace SignSvc.Signing.Tests;

public sealed class LayeringTests
{
    [Fact]
    public void The_rules_reference_nothing_but_the_base_class_library()
    {
        var strangers = typeof(Signer).Assembly.GetReferencedAssemblies()
            .Select(a => a.Name!)
            .Where(name => !name.StartsWith("System.", StringComparison.Ordinal));

        Assert.Empty(strangers);
    }
}
