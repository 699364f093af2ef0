using System.Globalization;
using SignSvc.Load.Calls;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Growth;

/// <summary>
/// Statements of the service's policies, then keys with a policy each, put through the service's own API. The statements
/// are of pipelines that do not come; the one that comes stands in the policy that is looked at last.
/// </summary>
internal sealed class PolicyGrowth(ServiceTarget service, ITransport http, KeyGrowth keys, GrowthFigures figures)
{
    /// <summary>As many as the service takes in one policy.</summary>
    private const int StatementsOfPolicy = 64;

    private const int FirstSize = 10;
    private const string Pipeline = "pipeline-that-comes";
    private const string LastPolicy = "zz-last";
    private const int Together = 8;

    public async Task RunAsync(int statements, int keysWithPolicy, CancellationToken cancellationToken)
    {
        // Its role reads and lists; it gives neither tokens nor signatures.
        var pipeline = await service.WithRoleAsync(Pipeline, "auditor", cancellationToken);
        var stranger = await service.WithRoleAsync("pipeline-without-policy", "auditor", cancellationToken);
        await GrowStatementsAsync(statements, pipeline, stranger, cancellationToken);
        await GrowKeyPoliciesAsync(keysWithPolicy, pipeline, cancellationToken);
    }

    private async Task GrowStatementsAsync(int most, ServiceCalls pipeline, ServiceCalls stranger, CancellationToken cancellationToken)
    {
        await http.MustAsync(service.Admin.PutPolicy(LastPolicy, PolicyOf(TokenStatement(Pipeline))), cancellationToken);
        var (made, changes) = (1, 0);
        foreach (var size in GrowthSizes.TenfoldFrom(FirstSize, most))
        {
            while (made < size)
                made += await PutStatementsAsync(made, (int)size - made, cancellationToken);
            var at = figures.At("statements of the service's policies", size);
            await at.CpuAsync(
                service, http, cancellationToken, new("a token, allowed by a role", service.Admin.Token()),
                new("a token, allowed by the last statement", pipeline.Token()), new("a token, refused", stranger.Token(), IsRefused: true));
            await at.AskAsync("put a policy of one statement", http, () => service.Admin.PutPolicy(LastPolicy, PolicyOf(TokenStatement(Pipeline, changes++))), cancellationToken);
            await at.AskAsync("list all policies", http, () => service.Admin.ListPolicies(), cancellationToken);
        }
    }

    private async Task GrowKeyPoliciesAsync(int most, ServiceCalls pipeline, CancellationToken cancellationToken)
    {
        var (made, changes) = (0, 0);
        foreach (var size in GrowthSizes.TenfoldFrom(FirstSize, most))
        {
            await keys.FillAsync((int)size, cancellationToken);
            await Parallel.ForAsync(
                made, (int)size, new ParallelOptions { MaxDegreeOfParallelism = Together, CancellationToken = cancellationToken },
                async (i, cancel) => await http.MustAsync(service.Admin.PutKeyPolicy(KeyGrowth.Name(i), PolicyOf(SignStatement(0))), cancel));
            made = (int)size;
            var key = KeyGrowth.Name(made / 2);
            var at = figures.At("keys with a policy each", size);
            await at.CpuAsync(
                service, http, cancellationToken, new("a signature, allowed by a role", service.Admin.Sign(key)),
                new("a signature, allowed by its key's policy", pipeline.Sign(key)));
            await at.AskAsync("put a key's policy", http, () => service.Admin.PutKeyPolicy(key, PolicyOf(SignStatement(++changes))), cancellationToken);
            await keys.ListAsync(at, cancellationToken);
        }
    }

    /// <returns>How many it put.</returns>
    private async Task<int> PutStatementsAsync(int made, int wanted, CancellationToken cancellationToken)
    {
        var count = Math.Min(wanted, StatementsOfPolicy);
        var statements = Enumerable.Range(made, count).Select(i => TokenStatement(string.Create(CultureInfo.InvariantCulture, $"pipeline-{i:D6}-*")));
        await http.MustAsync(service.Admin.PutPolicy(string.Create(CultureInfo.InvariantCulture, $"team-{made:D6}"), PolicyOf([.. statements])), cancellationToken);
        return count;
    }

    private static string PolicyOf(params string[] statements) => $$"""{"statements":[{{string.Join(',', statements)}}]}""";

    private static string TokenStatement(string credential, int change = 0) =>
        $$$"""{"effect":"allow","principals":["credential:{{{credential}}}"],"actions":["tokens:Issue"],"resources":["profile/default"],"conditions":{"stringEquals":{"token.subject":["build-42","build-of-change-{{{change}}}"]} } }""";

    private static string SignStatement(int change) =>
        $$$"""{"effect":"allow","principals":["credential:{{{Pipeline}}}"],"actions":["keys:Sign"],"conditions":{"stringEquals":{"context.repository":["acme/app","acme/app-{{{change}}}"]} } }""";
}
