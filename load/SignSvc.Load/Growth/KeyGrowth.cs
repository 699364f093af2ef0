using System.Globalization;
using SignSvc.Load.Calls;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Growth;

/// <summary>Keys, made through the service's own API, and the listings of them.</summary>
internal sealed class KeyGrowth(ServiceTarget service, ITransport http, GrowthStore store, GrowthFigures figures)
{
    private const int FirstSize = 10;
    private const int Together = 16;

    /// <summary>So many keys are there, besides those that a first start makes.</summary>
    public int Made { get; private set; }

    public async Task RunAsync(int most, CancellationToken cancellationToken)
    {
        var bytesBefore = await store.BytesAsync(service, cancellationToken);
        foreach (var size in GrowthSizes.TenfoldFrom(FirstSize, most))
        {
            await FillAsync((int)size, cancellationToken);
            var at = figures.At("keys", size);
            var bytes = await store.BytesAsync(service, cancellationToken);
            await ListAsync(at, cancellationToken);
            await at.AskAsync("a token", http, () => service.Admin.Token(), cancellationToken);
            await at.AskAsync("a change of a key", http, () => service.Admin.Describe(Name(0), $"at {size}"), cancellationToken);
            at.Add("database", "MiB", bytes / 1048576.0);
            at.Add("database, a key and its audit", "bytes", (double)(bytes - bytesBefore) / size);
        }
    }

    public async Task FillAsync(int size, CancellationToken cancellationToken)
    {
        await Parallel.ForAsync(
            Made, size, new ParallelOptions { MaxDegreeOfParallelism = Together, CancellationToken = cancellationToken },
            async (i, cancel) => await http.MustAsync(service.Admin.CreateKey(Json(i)), cancel));
        Made = size;
    }

    /// <summary>The listings of all keys that there are, at whatever has grown.</summary>
    public async Task ListAsync(FiguresOfSize at, CancellationToken cancellationToken)
    {
        await at.ListAsync("keys: first page of 100", http, service.Admin.ListKeys("limit=100"), cancellationToken);
        await at.ListAsync("keys: page of 100 from the middle", http, service.Admin.ListKeys($"limit=100&after={Name(Made / 2)}"), cancellationToken);
        await at.ListAsync("keys: by prefix", http, service.Admin.ListKeys($"prefix={Name(Made / 2)}"), cancellationToken);
        await at.ListAsync("keys: by a tag that one has", http, service.Admin.ListKeys($"tag={Uri.EscapeDataString("only=one")}"), cancellationToken);
    }

    public static string Name(int i) => string.Create(CultureInfo.InvariantCulture, $"key-{i:D7}");

    private static string Json(int i) =>
        $$$"""{"name":"{{{Name(i)}}}","purpose":"artifacts","tier":"assured","backend":"software","spec":"ECC_NIST_P256","tags":{"team":"t{{{i % 50}}}"{{{(i == 7 ? ",\"only\":\"one\"" : "")}}} }}""";
}
