namespace SignSvc.Cli.Tests;

public sealed class LifecycleTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task A_key_is_made_with_its_rotation_and_its_protection()
    {
        var made = (await _signsvc.RunAsync(
            "keys", "create", "life-made", "--purpose", "tokens", "--rotation-period", "30d", "--lead", "12h", "--grace", "0s",
            "--deletion-protection", "-o", "json")).Ended(0).Json;

        Assert.Equal(2_592_000, made.GetProperty("rotation").GetProperty("periodSeconds").GetInt64());
        Assert.Equal(43_200, made.GetProperty("rotation").GetProperty("leadSeconds").GetInt64());
        Assert.Equal(0, made.GetProperty("rotation").GetProperty("graceSeconds").GetInt64());
        Assert.True(made.GetProperty("deletionProtection").GetBoolean());
        var refused = (await _signsvc.RunAsync("keys", "delete", "life-made", "--yes")).Ended(3);
        Assert.Contains("still-in-use", refused.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_backend_that_cannot_adopt_says_so()
    {
        var run = (await _signsvc.RunAsync("keys", "create", "life-adopted", "--adopt", "some-label")).Ended(3);

        Assert.Contains("cannot adopt", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disabled_key_signs_nothing_until_it_is_enabled()
    {
        (await _signsvc.RunAsync("keys", "create", "life-disabled")).Ended(0);
        var file = _signsvc.Folder.Write("a.txt", "a");

        (await _signsvc.RunAsync("keys", "disable", "life-disabled")).Ended(0);
        (await _signsvc.RunAsync("sign", file, "--key", "life-disabled")).Ended(3);
        (await _signsvc.RunAsync("keys", "enable", "life-disabled")).Ended(0);
        (await _signsvc.RunAsync("sign", file, "--key", "life-disabled")).Ended(0);
    }

    [Fact]
    public async Task A_profile_is_deleted_when_that_is_confirmed()
    {
        (await _signsvc.RunAsync("profiles", "put", "life-ended", "--key", "tokens", "--audience", "api://a")).Ended(0);
        (await _signsvc.RunAsync("profiles", "delete", "life-ended")).Ended(2);
        (await _signsvc.RunAsync("profiles", "delete", "life-ended", "--yes")).Ended(0);
        (await _signsvc.RunAsync("profiles", "show", "life-ended")).Ended(3);
    }

    [Fact]
    public async Task The_private_keys_of_a_volume_key_are_wrapped_anew()
    {
        var rewrapped = (await _signsvc.RunAsync("keys", "rewrap", "tokens", "-o", "json")).Ended(0).Json;
        Assert.Equal("active", rewrapped.GetProperty("versions")[0].GetProperty("state").GetString());
        (await _signsvc.RunAsync("token", "issue", "--audience", "api://a")).Ended(0);
    }

    [Fact]
    public async Task A_rotated_key_shows_both_versions_and_their_dates()
    {
        (await _signsvc.RunAsync("keys", "create", "life-rotated", "--purpose", "tokens", "--rotation-period", "10d", "--lead", "1d")).Ended(0);

        (await _signsvc.RunAsync("keys", "rotate", "life-rotated")).Ended(0);
        var timeline = (await _signsvc.RunAsync("keys", "timeline", "life-rotated")).Ended(0);
        var versions = (await _signsvc.RunAsync("keys", "versions", "life-rotated", "-o", "json")).Ended(0).Json.GetProperty("versions");

        var lines = timeline.Text.TrimEnd('\n').Split('\n');
        Assert.Equal("VERSION  STATE      ANNOUNCED             ACTIVE                RETIRE                STOPS                 REMOVED               SAFE TO DELETE", lines[0]);
        Assert.Matches(@"^1        active     \d{4}-", lines[1]);
        Assert.Matches(@"^2        announced  \d{4}-", lines[2]);
        var activeAt = versions[1].GetProperty("signsFrom").GetDateTimeOffset();
        Assert.Contains(activeAt.ToString("yyyy-MM-dd HH:mm:ss'Z'", null), lines[2], StringComparison.Ordinal);
        Assert.Equal(2, versions.GetArrayLength());
    }

    [Fact]
    public async Task The_timeline_tells_until_when_tokens_keep_a_key()
    {
        (await _signsvc.RunAsync("keys", "create", "life-tokens", "--purpose", "tokens")).Ended(0);
        (await _signsvc.RunAsync("profiles", "put", "life-profile", "--key", "life-tokens", "--audience", "api://a", "--max-lifetime", "10m")).Ended(0);
        (await _signsvc.RunAsync("token", "issue", "--profile", "life-profile", "--audience", "api://a")).Ended(0);

        var timeline = (await _signsvc.RunAsync("keys", "timeline", "life-tokens")).Ended(0);
        var version = (await _signsvc.RunAsync("keys", "versions", "life-tokens", "-o", "json")).Ended(0).Json.GetProperty("versions")[0];

        // Its last token may be signed at the hard stop, and lives ten minutes; then the skew and the convergence.
        var safe = version.GetProperty("safeToDeleteAt").GetDateTimeOffset();
        Assert.Equal(version.GetProperty("signsUntil").GetDateTimeOffset().AddSeconds(600 + 360), safe);
        Assert.Equal(version.GetProperty("removableAt").GetDateTimeOffset(), safe);
        Assert.EndsWith(safe.ToString("yyyy-MM-dd HH:mm:ss'Z'", null), timeline.Text.TrimEnd('\n'), StringComparison.Ordinal);
        Assert.Equal(1, version.GetProperty("uses").GetInt64());
        Assert.Equal(600, (await _signsvc.RunAsync("profiles", "show", "life-profile", "-o", "json")).Ended(0).Json.GetProperty("maxLifetimeSeconds").GetInt32());
    }

    [Fact]
    public async Task An_update_changes_what_it_names_and_nothing_else()
    {
        (await _signsvc.RunAsync(
            "keys", "create", "life-updated", "--purpose", "tokens", "--owner", "a", "--tag", "x=1", "--rotation-period", "20d", "--lead", "3h")).Ended(0);

        var updated = (await _signsvc.RunAsync("keys", "update", "life-updated", "--description", "d", "--grace", "2h", "-o", "json")).Ended(0).Json;

        Assert.Equal("a", updated.GetProperty("owner").GetString());
        Assert.Equal("d", updated.GetProperty("description").GetString());
        Assert.Equal("""{"x":"1"}""", updated.GetProperty("tags").GetRawText());
        Assert.Equal("""{"periodSeconds":1728000,"leadSeconds":10800,"graceSeconds":7200,"jitterSeconds":0,"standby":false}""", updated.GetProperty("rotation").GetRawText());
        updated = (await _signsvc.RunAsync("keys", "update", "life-updated", "--standby", "true", "-o", "json")).Ended(0).Json;
        Assert.Equal("""{"periodSeconds":1728000,"leadSeconds":10800,"graceSeconds":7200,"jitterSeconds":0,"standby":true}""", updated.GetProperty("rotation").GetRawText());
        Assert.Contains("standby", (await _signsvc.RunAsync("keys", "show", "life-updated")).Ended(0).Text, StringComparison.Ordinal);
        (await _signsvc.RunAsync("keys", "update", "life-updated")).Ended(2);
    }

    [Fact]
    public async Task A_key_that_shall_rotate_never_again_keeps_its_standby_and_loses_its_period()
    {
        (await _signsvc.RunAsync("keys", "create", "life-never", "--purpose", "artifacts", "--rotation-period", "20d", "--lead", "3h", "--standby", "true")).Ended(0);

        var updated = (await _signsvc.RunAsync("keys", "update", "life-never", "--rotation-period", "never", "--lead", "1h", "-o", "json")).Ended(0).Json.GetProperty("rotation");

        Assert.False(updated.TryGetProperty("periodSeconds", out _));
        Assert.Equal((3600, true), (updated.GetProperty("leadSeconds").GetInt32(), updated.GetProperty("standby").GetBoolean()));
    }

    [Theory]
    [InlineData("keys", "delete", "release")]
    [InlineData("keys", "revoke-version", "release", "1", "--reason", "compromised")]
    public async Task What_cannot_be_undone_needs_a_yes_where_nobody_can_be_asked(params string[] arguments)
    {
        var run = (await _signsvc.RunAsync(arguments)).Ended(2);

        Assert.Contains("--yes", run.Errors, StringComparison.Ordinal);
        var key = (await _signsvc.RunAsync("keys", "show", "release", "-o", "json")).Ended(0).Json;
        Assert.Equal("enabled", key.GetProperty("state").GetString());
        Assert.Equal("active", key.GetProperty("versions")[0].GetProperty("state").GetString());
    }

    [Fact]
    public async Task At_a_terminal_the_name_of_the_key_is_the_yes()
    {
        (await _signsvc.RunAsync("keys", "create", "life-typed")).Ended(0);
        (await _signsvc.RunAsync("aliases", "put", "life/typed", "life-typed")).Ended(0);

        var other = (await _signsvc.RunAtTerminalAsync("yes\n", "keys", "delete", "life-typed")).Ended(2);
        var alias = (await _signsvc.RunAtTerminalAsync("life/typed\n", "keys", "delete", "life/typed")).Ended(2);
        Assert.Contains("Type life-typed to go on", other.Text, StringComparison.Ordinal);
        Assert.Contains("nothing was done", alias.Text, StringComparison.Ordinal);
        Assert.Equal("enabled", await StateAsync("life-typed"));

        (await _signsvc.RunAtTerminalAsync("life-typed\n", "keys", "delete", "life/typed")).Ended(0);
        Assert.Equal("pendingDeletion", await StateAsync("life-typed"));
    }

    [Fact]
    public async Task A_deletion_is_taken_back_and_the_key_comes_back_disabled()
    {
        (await _signsvc.RunAsync("keys", "create", "life-deleted")).Ended(0);

        var deleted = (await _signsvc.RunAsync("keys", "delete", "life-deleted", "--pending-window-days", "7", "--yes", "-o", "json")).Ended(0).Json;
        Assert.Equal(7, (deleted.GetProperty("deletesAt").GetDateTimeOffset() - deleted.GetProperty("createdAt").GetDateTimeOffset()).Days);
        (await _signsvc.RunAsync("keys", "cancel-deletion", "life-deleted")).Ended(0);
        Assert.Equal("disabled", await StateAsync("life-deleted"));
    }

    [Fact]
    public async Task A_revoked_version_is_shown_with_its_reason()
    {
        (await _signsvc.RunAsync("keys", "create", "life-revoked")).Ended(0);

        (await _signsvc.RunAsync("keys", "revoke-version", "life-revoked", "1", "--reason", "superseded", "--yes")).Ended(0);
        var versions = (await _signsvc.RunAsync("keys", "versions", "life-revoked")).Ended(0);
        Assert.Matches("(?m)^1 +revoked .* superseded ", versions.Text);
    }

    [Fact]
    public async Task An_alias_with_slashes_moves_from_key_to_key()
    {
        (await _signsvc.RunAsync("keys", "create", "life-alias-1")).Ended(0);
        (await _signsvc.RunAsync("keys", "create", "life-alias-2")).Ended(0);

        (await _signsvc.RunAsync("aliases", "put", "life/prod/app", "life-alias-1")).Ended(0);
        (await _signsvc.RunAsync("aliases", "put", "life/prod/app", "life-alias-2")).Ended(0);
        var list = (await _signsvc.RunAsync("aliases", "list")).Ended(0);
        Assert.Matches("(?m)^life/prod/app +life-alias-2 ", list.Text);
        var shown = (await _signsvc.RunAsync("keys", "show", "life/prod/app", "-o", "json")).Ended(0).Json;
        Assert.Equal("life-alias-2", shown.GetProperty("name").GetString());
        (await _signsvc.RunAsync("aliases", "delete", "life/prod/app")).Ended(0);
        (await _signsvc.RunAsync("keys", "show", "life/prod/app")).Ended(3);
        (await _signsvc.RunAsync("aliases", "put", "life/../x", "life-alias-1")).Ended(2);
    }

    private async Task<string?> StateAsync(string key) =>
        (await _signsvc.RunAsync("keys", "show", key, "-o", "json")).Ended(0).Json.GetProperty("state").GetString();
}
