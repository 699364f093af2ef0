using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using SignSvc.Cli.Http;

namespace SignSvc.Cli.Audit;

/// <summary>
/// <c>audit search --all</c>: page after page, each shown before the next is asked for, so that it takes the memory of one
/// page however much is found. As JSON it is one page in shape, <c>next</c> null; where a page fails it stays without its
/// end, so that nobody takes a part for the whole.
/// </summary>
internal static class WholeSearch
{
    /// <summary>A page may hold statements of 1,000 subjects each; it still fits what a client reads at once.</summary>
    public const int DefaultPage = 500;

    /// <param name="pathAfter">The address of the page after a cursor.</param>
    /// <param name="after">Where the first page begins; null: with the newest record.</param>
    public static async Task ShowAsync(
        ServiceClient service, Func<string?, string> pathAfter, string? after, ParseResult parsed, Action<AuditPage> forPeople,
        CancellationToken cancellationToken)
    {
        await using var output = Console.OpenStandardOutput();
        var json = parsed.WantsJson();
        var isFirst = true;
        if (json)
            await output.WriteAsync("{\"records\":["u8.ToArray(), cancellationToken);
        while (true)
        {
            var answer = await service.GetAsync(pathAfter(after), cancellationToken);
            var page = answer.Read(CliJson.Default.AuditPage);
            if (!json)
                forPeople(page with { Next = null });
            else if (page.Records.Length > 0)
                await output.WriteAsync(RecordsOf(answer, ref isFirst), cancellationToken);
            if (page.Next is null)
                break;
            if (string.Equals(page.Next, after, StringComparison.Ordinal))
                throw new CommandException(ExitCode.Unavailable, "The service answers the same page again and again.", "Is this the URL of the service? Name another with --url or SIGNSVC_URL.");
            after = page.Next;
        }

        if (json)
            await output.WriteAsync("],\"next\":null}\n"u8.ToArray(), cancellationToken);
    }

    /// <summary>The records as the service wrote them, each on a line of its own.</summary>
    private static ReadOnlyMemory<byte> RecordsOf(Answer answer, ref bool isFirst)
    {
        using var page = JsonDocument.Parse(answer.Body);
        var text = new MemoryStream(answer.Body.Length);
        foreach (var record in page.RootElement.GetProperty("records").EnumerateArray())
        {
            text.Write(isFirst ? "\n"u8 : ",\n"u8);
            text.Write(JsonMarshal.GetRawUtf8Value(record));
            isFirst = false;
        }

        return text.GetBuffer().AsMemory(0, (int)text.Length);
    }
}
