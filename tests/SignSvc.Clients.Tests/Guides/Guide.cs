using System.Text.RegularExpressions;
using SignSvc.Clients.Tests.Running;
using YamlDotNet.RepresentationModel;

namespace SignSvc.Clients.Tests.Guides;

/// <summary>A page of docs/guides: what its reader copies.</summary>
internal sealed partial class Guide(string text)
{
    public static Guide Read(string name) => new(File.ReadAllText(Path.Combine(Checkout.Root, "docs", "guides", name)));

    /// <summary>The fenced blocks of a language, in order.</summary>
    public IReadOnlyList<string> Blocks(string language) =>
        [.. Fence().Matches(text).Where(m => m.Groups["language"].ValueSpan.SequenceEqual(language)).Select(m => m.Groups["block"].Value)];

    public static YamlNode Yaml(string block)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(block));
        return stream.Documents[0].RootNode;
    }

    /// <summary>What stands between <c>sh '''</c> and <c>'''</c> in a stage of a Jenkinsfile.</summary>
    public static string ShellOfStage(string groovy, string stage)
    {
        var after = groovy[groovy.IndexOf($"stage('{stage}')", StringComparison.Ordinal)..];
        const string quote = "'''";
        var start = after.IndexOf(quote, StringComparison.Ordinal) + quote.Length;
        return after[start..after.IndexOf(quote, start, StringComparison.Ordinal)];
    }

    [GeneratedRegex(@"^```(?<language>\w+)\n(?<block>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Fence();
}
