using System.Text.Json;

namespace SignSvc.Cli.Tests;

public sealed class DeclaredKeysTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task Every_example_can_be_applied_and_a_second_apply_changes_nothing()
    {
        var examples = Path.Combine(BuiltPrograms.Root, "deploy", "keys");
        var before = (await _signsvc.RunAsync("plan", "-f", examples, "--set", "examples", "--exit-code")).Ended(1);
        var first = (await _signsvc.RunAsync("apply", "-f", examples, "--set", "examples", "--yes", "-o", "json")).Ended(0).Json;
        var audit = await UpdatesAsync("image-signing", "image-signing-rsa", "firmware-signing", "service-tokens");
        var second = (await _signsvc.RunAsync("apply", "-f", examples, "--set", "examples", "-o", "json")).Ended(0).Json;
        var after = (await _signsvc.RunAsync("plan", "-f", examples, "--set", "examples", "--exit-code")).Ended(0);

        Assert.Contains("4 to make, 0 to change", before.Text, StringComparison.Ordinal);
        Assert.Equal(4, first.GetProperty("done").GetArrayLength());
        Assert.Equal(0, second.GetProperty("done").GetArrayLength());
        Assert.Equal(audit, await UpdatesAsync("image-signing", "image-signing-rsa", "firmware-signing", "service-tokens"));
        Assert.Contains("4 as declared", after.Text, StringComparison.Ordinal);
        Assert.DoesNotContain('\e', after.Text);
        var aliased = await KeyAsync("prod/images");
        Assert.Equal("image-signing", aliased.GetProperty("name").GetString());
        Assert.True(aliased.GetProperty("deletionProtection").GetBoolean());
        Assert.Equal("disabled", (await KeyAsync("image-signing-rsa")).GetProperty("state").GetString());
        Assert.Equal("RSA_4096", (await KeyAsync("firmware-signing")).GetProperty("spec").GetString());
        var rotation = (await KeyAsync("service-tokens")).GetProperty("rotation");
        Assert.Equal(86_400, rotation.GetProperty("leadSeconds").GetInt64());
        Assert.True(rotation.GetProperty("standby").GetBoolean());
    }

    [Fact]
    public async Task An_edited_manifest_is_a_change_and_an_edited_key_is_drift()
    {
        var file = Write("drift.yaml", Signing("dk-drift", "description: one", "owner: a", "enabled: true"));
        (await _signsvc.RunAsync("apply", "-f", file, "--set", "drift", "--yes")).Ended(0);

        Write("drift.yaml", Signing("dk-drift", "description: two", "owner: a", "enabled: true"));
        (await _signsvc.RunAsync("keys", "update", "dk-drift", "--owner", "by-hand")).Ended(0);
        (await _signsvc.RunAsync("keys", "disable", "dk-drift")).Ended(0);
        (await _signsvc.RunAsync("plan", "-f", file, "--set", "drift")).Ended(0);
        var plan = (await _signsvc.RunAsync("plan", "-f", file, "--set", "drift", "--exit-code")).Ended(1);

        Assert.Contains("    ~ description: one -> two\n", plan.Text, StringComparison.Ordinal);
        Assert.Contains("    ! owner: by-hand -> a (drift)\n", plan.Text, StringComparison.Ordinal);
        Assert.Contains("    ! enabled: false -> true (drift)\n", plan.Text, StringComparison.Ordinal);
        (await _signsvc.RunAsync("apply", "-f", file, "--set", "drift", "--yes")).Ended(0);
        var key = await KeyAsync("dk-drift");
        Assert.Equal(("a", "two", "enabled"), (key.GetProperty("owner").GetString(), key.GetProperty("description").GetString(), key.GetProperty("state").GetString()));
        (await _signsvc.RunAsync("plan", "-f", file, "--set", "drift", "--exit-code")).Ended(0);
    }

    [Theory]
    [InlineData("one", "{a: '1', b: '2'}", "{a: '1, b=2'}")]
    [InlineData("key", "{'a=b': c}", "{a: b=c}")]
    public async Task Tags_that_read_alike_side_by_side_are_not_the_same_tags(string name, string before, string after)
    {
        var file = Write($"tags-{name}.yaml", Signing($"dk-tags-{name}", $"tags: {before}"));
        (await _signsvc.RunAsync("apply", "-f", file, "--set", $"tags-{name}", "--yes")).Ended(0);
        (await _signsvc.RunAsync("plan", "-f", file, "--set", $"tags-{name}", "--exit-code")).Ended(0);

        Write($"tags-{name}.yaml", Signing($"dk-tags-{name}", $"tags: {after}"));
        (await _signsvc.RunAsync("plan", "-f", file, "--set", $"tags-{name}", "--exit-code")).Ended(1);
    }

    [Fact]
    public async Task A_change_that_would_be_another_key_is_refused_with_the_way_out()
    {
        var file = Write("replace.yaml", Signing("dk-replace") + "---\n" + Signing("dk-beside"));
        (await _signsvc.RunAsync("apply", "-f", file, "--set", "replace", "--yes")).Ended(0);

        Write("replace.yaml", Signing("dk-replace").Replace("ECC_NIST_P256", "ECC_NIST_P384", StringComparison.Ordinal) + "---\n" + Signing("dk-beside", "owner: b"));
        var plan = (await _signsvc.RunAsync("plan", "-f", file, "--set", "replace")).Ended(2);
        var apply = (await _signsvc.RunAsync("apply", "-f", file, "--set", "replace", "--yes")).Ended(2);

        Assert.Contains("x dk-replace is refused. spec cannot change", plan.Text, StringComparison.Ordinal);
        Assert.Contains("ECC_NIST_P256 -> ECC_NIST_P384", plan.Text, StringComparison.Ordinal);
        Assert.Contains("Declare a new key under a new name", apply.Errors, StringComparison.Ordinal);
        // Nothing was done to the key beside it either.
        Assert.DoesNotContain("\"owner\":\"b\"", (await KeyAsync("dk-beside")).GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_without_its_manifest_goes_under_prune_alone_as_its_policy_says()
    {
        var policies = new[] { "ScheduleKeyDeletion", "DisableKey", "Retain" };
        var all = string.Join("---\n", policies.Select(p => Signing($"dk-prune-{p.ToLowerInvariant()}", $"deletionPolicy: {p}", "pendingWindowInDays: 9")));
        var file = Write("prune.yaml", all + "---\n" + Signing("dk-prune-kept"));
        (await _signsvc.RunAsync("apply", "-f", file, "--set", "prune", "--yes")).Ended(0);
        Write("prune.yaml", Signing("dk-prune-kept"));

        var left = (await _signsvc.RunAsync("apply", "-f", file, "--set", "prune")).Ended(0);
        Assert.Contains("= dk-prune-schedulekeydeletion is no longer declared and left alone", left.Text, StringComparison.Ordinal);
        (await _signsvc.RunAsync("apply", "-f", file, "--set", "prune", "--prune")).Ended(2);
        (await _signsvc.RunAtTerminalAsync("yes\nyes\n", "apply", "-f", file, "--set", "prune", "--prune")).Ended(2);
        Assert.Equal("enabled", await StateAsync("dk-prune-schedulekeydeletion"));
        Assert.Equal("enabled", await StateAsync("dk-prune-disablekey"));

        (await _signsvc.RunAtTerminalAsync("yes\ndk-prune-schedulekeydeletion\n", "apply", "-f", file, "--set", "prune", "--prune")).Ended(0);
        var deleted = await KeyAsync("dk-prune-schedulekeydeletion");
        Assert.Equal("pendingDeletion", deleted.GetProperty("state").GetString());
        Assert.InRange((deleted.GetProperty("deletesAt").GetDateTimeOffset() - deleted.GetProperty("createdAt").GetDateTimeOffset()).TotalDays, 9, 9.1);
        Assert.Equal("disabled", await StateAsync("dk-prune-disablekey"));
        Assert.Equal("enabled", await StateAsync("dk-prune-retain"));
        (await _signsvc.RunAsync("plan", "-f", file, "--set", "prune", "--prune", "--exit-code")).Ended(0);
    }

    [Fact]
    public async Task What_was_done_before_a_failure_is_told_and_not_done_twice()
    {
        var good = Signing("dk-part-1") + "---\n" + Signing("dk-part-2", "aliases: [ALIAS]") + "---\n" + Signing("dk-part-3");
        var file = Write("part.yaml", good.Replace("ALIAS", "release", StringComparison.Ordinal));

        var failed = (await _signsvc.RunAsync("apply", "-f", file, "--set", "part", "--yes")).Ended(3);
        Assert.Contains("done: dk-part-1: made\n", failed.Text, StringComparison.Ordinal);
        Assert.Contains("failed: dk-part-2, after: nothing\nnot begun: dk-part-3\n", failed.Text, StringComparison.Ordinal);
        Assert.Contains("name-taken", failed.Errors, StringComparison.Ordinal);

        Write("part.yaml", good.Replace("ALIAS", "part/alias", StringComparison.Ordinal));
        var resumed = (await _signsvc.RunAsync("apply", "-f", file, "--set", "part", "--yes")).Ended(0);
        Assert.Contains("= dk-part-1 is as declared", resumed.Text, StringComparison.Ordinal);
        Assert.Contains("done: dk-part-2: made\ndone: dk-part-3: made\n", resumed.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_applies_at_once_one_is_carried_out_whole_and_the_others_say_that_they_came_too_late()
    {
        const int Applies = 5;
        var files = Enumerable.Range(0, Applies)
            .Select(i => Write($"race-{i}.yaml", Signing("dk-race", $"description: by {i}", $"owner: team-{i}", $"aliases: [race/{i}]", $"enabled: {(i % 2 == 0 ? "true" : "false")}")))
            .ToArray();
        (await _signsvc.RunAsync("apply", "-f", files[0], "--set", "race", "--yes")).Ended(0);
        var runs = await Task.WhenAll(files.Select(f => _signsvc.RunAsync("apply", "-f", f, "--set", "race", "--yes")));

        Assert.Contains(runs, r => r.ExitCode == 0);
        foreach (var late in runs.Where(r => r.ExitCode != 0))
            Assert.Contains("Somebody else changed it after it was read", late.Ended(3).Errors, StringComparison.Ordinal);
        var plans = await Task.WhenAll(files.Select(f => _signsvc.RunAsync("plan", "-f", f, "--set", "race", "--exit-code")));
        Assert.Single(plans, p => p.ExitCode == 0);
    }

    [Fact]
    public async Task Of_first_applies_of_the_same_manifest_at_once_each_ends_with_the_keys_as_declared()
    {
        var file = Write("first.yaml", string.Join("---\n", Enumerable.Range(0, 10).Select(i => Signing($"dk-first-{i}", $"aliases: [first/{i}]", "owner: a", "tags: {team: build}"))));
        var runs = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => _signsvc.RunAsync("apply", "-f", file, "--set", "first", "--yes")));

        Assert.All(runs, r => r.Ended(0));
        Assert.Equal(10, runs.Sum(r => r.Text.Split('\n').Count(l => l.EndsWith(": made", StringComparison.Ordinal))));
        (await _signsvc.RunAsync("plan", "-f", file, "--set", "first", "--exit-code")).Ended(0);
    }

    [Fact]
    public async Task A_key_that_somebody_else_made_after_the_plan_is_held_against_its_declaration()
    {
        var file = Write("late.yaml", Signing("dk-late-1", "owner: a") + "---\n" + Signing("dk-late-2", "owner: a"));
        var late = await _signsvc.RunAtTerminalAsync(
            async () => (await _signsvc.RunAsync("apply", "-f", file, "--set", "late", "--yes")).Ended(0), "yes\n", "apply", "-f", file, "--set", "late");

        Assert.Contains("done: dk-late-1: as declared already: somebody else made it meanwhile", late.Ended(0).Text, StringComparison.Ordinal);
        Assert.Contains("done: dk-late-2: as declared already: somebody else made it meanwhile", late.Text, StringComparison.Ordinal);

        var other = Write("later.yaml", Signing("dk-later", "owner: b"));
        var refused = await _signsvc.RunAtTerminalAsync(
            async () => (await _signsvc.RunAsync("apply", "-f", Write("sooner.yaml", Signing("dk-later", "owner: a")), "--set", "later", "--yes")).Ended(0),
            "yes\n", "apply", "-f", other, "--set", "later");

        Assert.Contains("Somebody else made dk-later meanwhile", refused.Ended(3).Text, StringComparison.Ordinal);
        Assert.Contains("\"owner\":\"a\"", (await KeyAsync("dk-later")).GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_that_is_declared_disabled_is_never_enabled()
    {
        var file = Write("disabled.yaml", Signing("dk-disabled", "enabled: false", "aliases: [dk/disabled]"));
        var applied = (await _signsvc.RunAsync("apply", "-f", file, "--set", "disabled", "--yes")).Ended(0);

        Assert.EndsWith("done: dk-disabled: made\n", applied.Text, StringComparison.Ordinal);
        Assert.Equal("disabled", await StateAsync("dk/disabled"));
        var records = (await _signsvc.RunAsync("audit", "search", "--key", "dk-disabled", "-o", "json")).Ended(0).Json.GetProperty("records").EnumerateArray();
        Assert.DoesNotContain(records, r => r.GetProperty("action").GetString() is "keys:Disable" or "keys:Update" or "aliases:Put");
    }

    [Fact]
    public async Task A_KMSKey_for_several_Regions_is_asked_for_as_one_and_refused_where_the_backend_has_none()
    {
        var file = Write("regions.yaml", "apiVersion: aws-infra-operator.runner.codes/v1alpha1\nkind: KMSKey\nmetadata: {name: dk-regions}\nspec: {keySpec: ECC_NIST_P256, keyUsage: SIGN_VERIFY, multiRegion: true}\n");
        var refused = (await _signsvc.RunAsync("apply", "-f", file, "--set", "regions", "--yes")).Ended(3);
        Assert.Contains("unsupported", refused.Errors, StringComparison.Ordinal);
        var applied = (await _signsvc.RunAsync("apply", "-f", file, "--set", "regions", "--yes", "--ignore", "multiRegion")).Ended(0);
        Assert.Contains("multiRegion is left aside", applied.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_service_serves_the_schema_that_is_kept() => Assert.Equal(
        await File.ReadAllBytesAsync(Path.Combine(BuiltPrograms.Root, "deploy", "keys", "schema.json"), TestContext.Current.CancellationToken),
        await service.GetAsync("/schemas/keys.json"));

    [Fact]
    public async Task An_alias_moves_between_declared_keys_and_stays_where_it_went()
    {
        var file = Write("alias.yaml", Signing("dk-alias-1", "aliases: [dk/moves, dk/goes]") + "---\n" + Signing("dk-alias-2", "aliases: []"));
        (await _signsvc.RunAsync("apply", "-f", file, "--set", "alias", "--yes")).Ended(0);

        // The one that gets it comes first, and the one that loses it second.
        Write("alias.yaml", Signing("dk-alias-2", "aliases: [dk/moves]") + "---\n" + Signing("dk-alias-1", "aliases: []"));
        var applied = (await _signsvc.RunAsync("apply", "-f", file, "--set", "alias", "--yes")).Ended(0);

        Assert.Contains("The alias dk/moves moves here from dk-alias-1", applied.Errors, StringComparison.Ordinal);
        Assert.Equal("dk-alias-2", (await KeyAsync("dk/moves")).GetProperty("name").GetString());
        (await _signsvc.RunAsync("keys", "show", "dk/goes")).Ended(3);
        (await _signsvc.RunAsync("plan", "-f", file, "--set", "alias", "--exit-code")).Ended(0);
    }

    [Fact]
    public async Task A_key_belongs_to_one_set_and_one_made_by_hand_is_taken_in()
    {
        (await _signsvc.RunAsync("keys", "create", "dk-taken", "--tag", "mine=1")).Ended(0);
        var file = Write("taken.yaml", Signing("dk-taken"));

        var plan = (await _signsvc.RunAsync("apply", "-f", file, "--set", "one", "--yes")).Ended(0);
        Assert.Contains("~ set: nothing -> one", plan.Text, StringComparison.Ordinal);
        Assert.Equal("1", (await KeyAsync("dk-taken")).GetProperty("tags").GetProperty("mine").GetString());
        var other = (await _signsvc.RunAsync("plan", "-f", file, "--set", "two")).Ended(2);
        Assert.Contains("belongs to the set one", other.Errors, StringComparison.Ordinal);
        (await _signsvc.RunAsync("keys", "update", "dk-taken", "--tag", "mine=2")).Ended(0);
        (await _signsvc.RunAsync("plan", "-f", file, "--set", "one", "--exit-code")).Ended(0);
    }

    [Fact]
    public async Task A_status_has_the_shape_that_the_operator_gives()
    {
        var file = Write("status.yaml", Signing("dk-status", "rotation: {period: 30d, lead: 0s}").Replace("artifacts", "tokens", StringComparison.Ordinal) + "---\n" + Signing("dk-absent"));
        var one = Write("one.yaml", Signing("dk-status", "rotation: {period: 30d, lead: 0s}").Replace("artifacts", "tokens", StringComparison.Ordinal));
        (await _signsvc.RunAsync("apply", "-f", one, "--set", "status", "--yes")).Ended(0);
        (await _signsvc.RunAsync("keys", "rotate", "dk-status")).Ended(0);
        var key = await KeyAsync("dk-status");

        var json = (await _signsvc.RunAsync("status", "-f", file, "--output", "json")).Ended(0).Json.GetProperty("items");
        var yaml = (await _signsvc.RunAsync("status", "-f", file, "--output", "yaml")).Ended(0).Text;
        var table = (await _signsvc.RunAsync("status", "-f", file)).Ended(0).Text;

        var status = json[0].GetProperty("status");
        Assert.Equal(
            ["ready", "keyId", "keyState", "creationDate", "lastRotationDate", "rotationEnabled", "lastSyncTime"],
            status.EnumerateObject().Select(m => m.Name),
            StringComparer.Ordinal);
        Assert.True(status.GetProperty("ready").GetBoolean());
        Assert.True(status.GetProperty("rotationEnabled").GetBoolean());
        Assert.Equal("Enabled", status.GetProperty("keyState").GetString());
        Assert.Equal(key.GetProperty("id").GetString(), status.GetProperty("keyId").GetString());
        Assert.Equal(
            key.GetProperty("versions")[1].GetProperty("signsFrom").GetDateTimeOffset(), status.GetProperty("lastRotationDate").GetDateTimeOffset());
        Assert.False(json[1].GetProperty("status").GetProperty("ready").GetBoolean());
        Assert.StartsWith("apiVersion: signsvc.dev/v1\nkind: SigningKey\nmetadata:\n  name: \"dk-status\"\nstatus:\n  ready: true\n  keyId: \"", yaml, StringComparison.Ordinal);
        Assert.Contains("\n---\napiVersion", yaml, StringComparison.Ordinal);
        Assert.Matches("(?m)^dk-absent +false +- ", table);
        (await _signsvc.RunAsync("keys", "list", "--output", "yaml")).Ended(2);
    }

    [Fact]
    public async Task A_plan_is_coloured_at_a_terminal_and_not_where_no_colour_is_wanted()
    {
        var file = Write("colour.yaml", Signing("dk-colour"));
        _signsvc.Set("TERM", "xterm-256color");

        var coloured = (await _signsvc.RunAtTerminalAsync("", "plan", "-f", file, "--set", "colour")).Ended(0);
        _signsvc.Set("NO_COLOR", "1");
        var plain = (await _signsvc.RunAtTerminalAsync("", "plan", "-f", file, "--set", "colour")).Ended(0);

        Assert.Matches("\e\\[[0-9;]+m\\+ dk-colour will be made", coloured.Text);
        Assert.DoesNotMatch("\e\\[[0-9;]+m\\+ dk-colour", plain.Text);
        Assert.Contains("+ dk-colour will be made", plain.Text, StringComparison.Ordinal);
    }

    private static string Signing(string name, params string[] members) =>
        $"apiVersion: signsvc.dev/v1\nkind: SigningKey\nmetadata:\n  name: {name}\nspec:\n  purpose: artifacts\n  spec: ECC_NIST_P256\n"
        + string.Concat(members.Select(m => $"  {m}\n"));

    private string Write(string name, string text) => _signsvc.Folder.Write(name, text);

    private async Task<JsonElement> KeyAsync(string key) => (await _signsvc.RunAsync("keys", "show", key, "-o", "json")).Ended(0).Json;

    /// <summary>The updates of these keys alone: other tests change keys of their own meanwhile.</summary>
    private async Task<string> UpdatesAsync(params string[] keys)
    {
        var found = "";
        foreach (var key in keys)
            found += (await _signsvc.RunAsync("audit", "search", "--key", key, "--action", "keys:Update", "-o", "json")).Ended(0).Text;
        return found;
    }

    private async Task<string?> StateAsync(string key) => (await KeyAsync(key)).GetProperty("state").GetString();
}
