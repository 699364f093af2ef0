using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Growth;

/// <summary>
/// Fills a service through its own API, and asks the same questions at each size: what is listed, searched, decided and
/// followed must not cost more because there is more. Keys and audit records grow in one service, one after the other.
/// </summary>
internal sealed class GrowthRun(GrowthOptions options, TextWriter output)
{
    public async IAsyncEnumerable<GrowthResult> RunAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (Has(Curve.Keys) || Has(Curve.Audit))
            yield return await MeasureAsync(FillingName(), options.OnPostgres, FillAsync, cancellationToken);
        if (Has(Curve.Policies))
            yield return await MeasureAsync(options.OnPostgres ? "policies-postgresql" : Curve.Policies, options.OnPostgres, PutPoliciesAsync, cancellationToken);
        if (Has(Curve.Nodes))
            yield return await AddNodesAsync(cancellationToken);
    }

    private async Task<GrowthResult> MeasureAsync(
        string name, bool onPostgres, Func<ServiceTarget, ITransport, GrowthStore, GrowthFigures, CancellationToken, Task> measure, CancellationToken cancellationToken)
    {
        var machine = await Machine.DescribeAsync(TimeProvider.System, cancellationToken);
        var figures = new GrowthFigures(options.Effort, output);
        await using var store = await GrowthStore.OpenAsync(onPostgres, cancellationToken);
        await using var service = await ServiceTarget.StartAsync(store.Settings, cancellationToken);
        await using var http = service.Open(Protocol.Http1);
        await measure(service, http, store, figures, cancellationToken);
        return new GrowthResult(machine, options.Command, name, store.Name, figures.Points, Machine.LoadNow());
    }

    private async Task FillAsync(ServiceTarget service, ITransport http, GrowthStore store, GrowthFigures figures, CancellationToken cancellationToken)
    {
        var keys = Has(Curve.Keys) ? new KeyGrowth(service, http, store, figures) : null;
        if (keys is not null)
            await keys.RunAsync(options.Keys, cancellationToken);
        if (Has(Curve.Audit))
            await new AuditGrowth(service, http, store, figures, keys).RunAsync(options.AuditRows, cancellationToken);
    }

    private Task PutPoliciesAsync(ServiceTarget service, ITransport http, GrowthStore store, GrowthFigures figures, CancellationToken cancellationToken) =>
        new PolicyGrowth(service, http, new KeyGrowth(service, http, store, figures), figures).RunAsync(options.Statements, options.Keys, cancellationToken);

    private async Task<GrowthResult> AddNodesAsync(CancellationToken cancellationToken)
    {
        var machine = await Machine.DescribeAsync(TimeProvider.System, cancellationToken);
        var figures = new GrowthFigures(options.Effort, output);
        await using var database = await MeasuredPostgres.StartAsync(cancellationToken);
        await using var nodes = new NodeGrowth(database, figures);
        await nodes.RunAsync(options.Nodes, cancellationToken);
        return new GrowthResult(machine, options.Command, Curve.Nodes, "PostgreSQL", figures.Points, Machine.LoadNow());
    }

    private bool Has(string curve) => options.Curves.Contains(curve, StringComparer.Ordinal);

    private string FillingName()
    {
        var store = options.OnPostgres ? "postgresql" : "sqlite";
        return Has(Curve.Keys) && Has(Curve.Audit) ? store : $"{(Has(Curve.Keys) ? Curve.Keys : Curve.Audit)}-{store}";
    }
}
