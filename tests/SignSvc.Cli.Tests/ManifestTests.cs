using System.Text.Json;
using System.Text.RegularExpressions;

namespace SignSvc.Cli.Tests;

/// <summary>How manifests are read. What is refused is refused before the service is asked.</summary>
public sealed class ManifestTests : IDisposable
{
    private const string Kms = "apiVersion: aws-infra-operator.runner.codes/v1alpha1\nkind: KMSKey\nmetadata: {name: a}\nspec:\n  keySpec: RSA_2048\n";
    private const string Signing = "apiVersion: signsvc.dev/v1\nkind: SigningKey\nmetadata: {name: a}\nspec:\n  purpose: artifacts\n  spec: RSA_2048\n";

    private readonly CommandLine _signsvc = new CommandLine().Set("SIGNSVC_URL", "http://127.0.0.1:1").Set("SIGNSVC_TOKEN", "none");

    public void Dispose() => _signsvc.Dispose();

    [Theory]
    [InlineData(Signing + "  owne: x\n", "a.yaml:7:3: There is no member owne here; known are: purpose, ")]
    [InlineData(Signing + "  enabled: \"yes\"\n", "a.yaml:7:12: enabled is true or false.")]
    [InlineData(Signing + "  description: 7\n", "a.yaml:7:16: description is text: put it in quotes.")]
    [InlineData(Signing + "  rotation: {period: soon}\n", "a.yaml:7:22: period is a length of time")]
    [InlineData(Signing + "  owner: a\n  owner: b\n", "a.yaml:8:3: The member owner is given twice.")]
    [InlineData(Signing + "  aliases: [a/b, a/b]\n", "names one thing twice")]
    [InlineData(Signing + "  aliases: [A]\n", "A is no alias")]
    [InlineData(Signing + "  tags: {signsvc.dev/set: x}\n", "is not yours to set")]
    [InlineData(Signing + "  deletionPolicy: ForceDelete\n", "deletionPolicy is one of: Retain, DisableKey, ScheduleKeyDeletion.")]
    [InlineData(Signing + "  pendingWindowInDays: 6\n", "a number from 7 to 30")]
    [InlineData(Signing + "  owner: &a x\n  description: *a\n", "Anchors and aliases")]
    [InlineData(Signing + "  owner: !!str x\n", "Tags (!) are not taken.")]
    [InlineData(Signing + "---\n" + Signing, "a.yaml:8:1: The key a is declared twice: also at a.yaml:1.")]
    [InlineData("kind: Secret\napiVersion: v1\n", "v1 Secret is not known here")]
    [InlineData("a: [1,\n", "This is no YAML")]
    [InlineData("- a\n", "A manifest is a mapping")]
    [InlineData("a: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", "nested at most 16 levels deep")]
    [InlineData(Kms, "Without keyUsage a KMSKey is an ENCRYPT_DECRYPT key")]
    [InlineData(Kms + "  keyUsage: ENCRYPT_DECRYPT\n", "This is a key for ENCRYPT_DECRYPT, and the service signs")]
    [InlineData(Kms + "  keyUsage: GENERATE_VERIFY_MAC\n", "This is a key for GENERATE_VERIFY_MAC, and the service signs")]
    [InlineData(Kms + "  keyUsage: SIGN_VERIFY\n  customerMasterKeySpec: RSA_4096\n", "here they differ")]
    [InlineData(Kms + "  keyUsage: SIGN_VERIFY\n  keyPolicy: |\n    {}\n", "keyPolicy has no effect here")]
    [InlineData(Kms + "  keyUsage: SIGN_VERIFY\n  grants: [{granteePrincipal: x}]\n", "grants has no effect here")]
    public async Task What_cannot_be_read_is_refused_with_its_place(string manifest, string message)
    {
        _signsvc.Folder.Write("a.yaml", manifest);

        var run = (await _signsvc.RunAsync("plan", "-f", "a.yaml")).Ended(2);

        Assert.Contains(message, run.Errors, StringComparison.Ordinal);
        Assert.Matches(@"^signsvc: a\.yaml:\d+:\d+: ", run.Errors);
    }

    [Fact]
    public async Task What_is_too_large_or_not_there_is_refused()
    {
        _signsvc.Folder.Write("large.yaml", new string('#', 1024 * 1024 + 1));
        Directory.CreateDirectory(_signsvc.Folder.At("empty"));

        Assert.Contains("larger than", (await _signsvc.RunAsync("plan", "-f", "large.yaml")).Ended(2).Errors, StringComparison.Ordinal);
        Assert.Contains("holds no", (await _signsvc.RunAsync("plan", "-f", "empty")).Ended(2).Errors, StringComparison.Ordinal);
        (await _signsvc.RunAsync("plan", "-f", "none.yaml")).Ended(2);
    }

    [Fact]
    public async Task What_may_be_left_aside_gets_past_reading()
    {
        _signsvc.Folder.Write("a.yaml", Kms + "  keyUsage: SIGN_VERIFY\n  keyPolicy: '{}'\n  grants: [{a: b}]\n  multiRegion: true\n");

        // 4: it was read, and the service that is not there was asked.
        (await _signsvc.RunAsync("plan", "-f", "a.yaml", "--ignore", "keyPolicy", "--ignore", "grants", "--ignore", "multiRegion")).Ended(4);
    }

    [Fact]
    public async Task The_printed_schema_is_the_one_that_is_kept()
    {
        var run = (await _signsvc.RunAsync("schema")).Ended(0);

        Assert.Equal(await File.ReadAllBytesAsync(SchemaPath, TestContext.Current.CancellationToken), run.Output);
        Assert.Equal("https://json-schema.org/draft/2020-12/schema", run.Json.GetProperty("$schema").GetString());
    }

    [Theory]
    [InlineData("SigningKey", "")]
    [InlineData("SigningKey", "metadata")]
    [InlineData("SigningKey", "spec")]
    [InlineData("SigningKey", "spec/rotation")]
    [InlineData("KMSKey", "")]
    [InlineData("KMSKey", "metadata")]
    [InlineData("KMSKey", "spec")]
    [InlineData("KMSKey", "spec/providerRef")]
    public async Task The_schema_names_the_members_that_are_read(string kind, string mapping)
    {
        var document = kind is "KMSKey" ? Kms + "  keyUsage: SIGN_VERIFY\n" : Signing;
        _signsvc.Folder.Write("a.yaml", mapping switch
        {
            "" => document + "strange: 1\n",
            "metadata" => document.Replace("{name: a}", "{name: a, strange: 1}", StringComparison.Ordinal),
            "spec" => document + "  strange: 1\n",
            _ => document + $"  {mapping.Split('/')[1]}: {{strange: 1}}\n",
        });

        var run = (await _signsvc.RunAsync("plan", "-f", "a.yaml")).Ended(2);

        var read = Regex.Match(run.Errors, "known are: (?<names>.*)\\.\n", RegexOptions.None, TimeSpan.FromSeconds(1)).Groups["names"].Value.Split(", ");
        Assert.Equal(SchemaMembers(kind, mapping).Select(m => m.Name).Order(StringComparer.Ordinal), read.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("SigningKey", "purpose")]
    [InlineData("SigningKey", "tier")]
    [InlineData("SigningKey", "spec")]
    [InlineData("SigningKey", "deletionPolicy")]
    [InlineData("KMSKey", "deletionPolicy")]
    public async Task The_schema_names_the_words_that_are_read(string kind, string member)
    {
        var document = kind is "KMSKey" ? Kms + "  keyUsage: SIGN_VERIFY\n" : Signing;
        var line = $"  {member}: strange\n";
        _signsvc.Folder.Write("a.yaml", Regex.IsMatch(document, $"(?m)^  {member}: .*\n", RegexOptions.None, TimeSpan.FromSeconds(1))
            ? Regex.Replace(document, $"(?m)^  {member}: .*\n", line, RegexOptions.None, TimeSpan.FromSeconds(1))
            : document + line);

        var run = (await _signsvc.RunAsync("plan", "-f", "a.yaml")).Ended(2);

        var words = SchemaMembers(kind, "spec").Single(m => string.Equals(m.Name, member, StringComparison.Ordinal)).Value.GetProperty("enum");
        Assert.Contains($"{member} is one of: {string.Join(", ", words.EnumerateArray().Select(w => w.GetString()))}.", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_cluster_writes_into_a_manifest_is_passed_over()
    {
        var printed = Kms.Replace("{name: a}", "{name: a, uid: b, generation: 2, creationTimestamp: \"2026-01-02T03:04:05Z\", finalizers: [c]}", StringComparison.Ordinal)
            + "  keyUsage: SIGN_VERIFY\nstatus: {keyState: Enabled, ready: true}\n";
        _signsvc.Folder.Write("a.yaml", printed);
        // It comes as far as the service, which is not there.
        (await _signsvc.RunAsync("plan", "-f", "a.yaml")).Ended(4);
    }

    [Fact]
    public async Task Nothing_declared_prunes_nothing()
    {
        _signsvc.Folder.Write("a.yaml", "# rendered to nothing\n");
        var run = (await _signsvc.RunAsync("apply", "-f", "a.yaml", "--prune", "--yes")).Ended(2);
        Assert.Contains("Nothing is declared", run.Errors, StringComparison.Ordinal);
    }

    private static string SchemaPath => Path.Combine(BuiltPrograms.Root, "deploy", "keys", "schema.json");

    private static JsonElement.ObjectEnumerator SchemaMembers(string kind, string mapping)
    {
        var at = JsonDocument.Parse(File.ReadAllBytes(SchemaPath)).RootElement.GetProperty("$defs").GetProperty(kind).GetProperty("properties");
        foreach (var step in mapping.Split('/', StringSplitOptions.RemoveEmptyEntries))
            at = at.GetProperty(step).GetProperty("properties");
        return at.EnumerateObject();
    }
}
