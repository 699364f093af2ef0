using System.Text.Json.Nodes;

namespace SignSvc.Emulation.Tests;

public sealed class AliasTests
{
    [Fact]
    public async Task A_key_answers_to_its_id_its_arn_its_alias_and_its_alias_arn()
    {
        await using var running = await RunningEmulator.StartAsync();
        var key = await running.Kms.DoAsync("CreateKey");
        await running.Kms.DoAsync("CreateAlias", new { AliasName = "alias/team/ci", TargetKeyId = key.Arn });
        foreach (
            var reference in new[]
            {
                key.KeyId,
                key.Arn,
                "alias/team/ci",
                "arn:aws:kms:us-east-1:111111111111:alias/team/ci",
            })
        {
            var reply = await running.Kms.DoAsync("Encrypt", new { KeyId = reference, Plaintext = new byte[1] });
            Assert.Equal(key.Arn, reply.Text("KeyId"));
        }

        await running.Kms.RefusedAsync("NotFoundException", "EnableKey", new { KeyId = "alias/team/ci" });
    }

    [Fact]
    public async Task An_alias_moves_only_between_keys_of_one_kind_and_usage()
    {
        await using var running = await RunningEmulator.StartAsync();
        var signing = await running.NewSigningKeyAsync();
        var next = await running.NewSigningKeyAsync("RSA_2048");
        var encrypting = (await running.Kms.DoAsync("CreateKey")).KeyId;
        await running.Kms.DoAsync("CreateAlias", new { AliasName = "alias/a", TargetKeyId = signing });
        await running.Kms.RefusedAsync(
            "AlreadyExistsException",
            "CreateAlias",
            new { AliasName = "alias/a", TargetKeyId = next });
        await running.Kms.RefusedAsync(
            "ValidationException",
            "UpdateAlias",
            new { AliasName = "alias/a", TargetKeyId = encrypting });
        await running.Kms.DoAsync("UpdateAlias", new { AliasName = "alias/a", TargetKeyId = next });
        Assert.Equal(next, (await running.Kms.DoAsync("DescribeKey", new { KeyId = "alias/a" })).KeyId);
        await running.Kms.DoAsync("DeleteAlias", new { AliasName = "alias/a" });
        await running.Kms.RefusedAsync("NotFoundException", "DeleteAlias", new { AliasName = "alias/a" });
        await running.Kms.RefusedAsync(
            "NotAuthorizedException",
            "CreateAlias",
            new { AliasName = "alias/aws/a", TargetKeyId = next });
    }

    [Fact]
    public async Task Lists_are_paged_without_repeats_and_within_the_service_s_limits()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = await running.NewSigningKeyAsync();
        running.Emulator.Settings.AliasesPerKey = 25;
        for (var i = 0; i < 25; i++)
            await running.Kms.DoAsync("CreateAlias", new { AliasName = $"alias/{i}", TargetKeyId = keyId });
        await running.Kms.RefusedAsync(
            "LimitExceededException",
            "CreateAlias",
            new { AliasName = "alias/more", TargetKeyId = keyId });

        var names = new List<string>();
        string? marker = null;
        do
        {
            var page = await running.Kms.DoAsync("ListAliases", new { Limit = 10, Marker = marker });
            names.AddRange(page.Body["Aliases"]!.AsArray().Select(a => a!["AliasName"]!.GetValue<string>()));
            marker = (page.Body["NextMarker"] as JsonValue)?.GetValue<string>();
            Assert.Equal(marker is not null, page.Body["Truncated"]!.GetValue<bool>());
        } while (marker is not null);
        Assert.Equal(25, names.Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(25, names.Count);
        await running.Kms.RefusedAsync("InvalidMarkerException", "ListAliases", new { Marker = "?" });
        await running.Kms.RefusedAsync("ValidationException", "ListAliases", new { Limit = 0 });
    }

    [Fact]
    public async Task New_keys_and_alias_changes_show_only_after_the_consistency_delay()
    {
        await using var running = await RunningEmulator.StartAsync();
        var first = await running.NewSigningKeyAsync();
        var second = await running.NewSigningKeyAsync();
        await running.Kms.DoAsync("CreateAlias", new { AliasName = "alias/a", TargetKeyId = first });
        running.Emulator.Settings.ConsistencyDelay = TimeSpan.FromSeconds(10);
        async Task<string?> Target()
        {
            var reply = await running.Kms.SendAsync("DescribeKey", new { KeyId = "alias/a" });
            return reply.Error is null ? reply.KeyId : null;
        }

        var late = await running.NewSigningKeyAsync();
        await running.Kms.RefusedAsync("NotFoundException", "DescribeKey", new { KeyId = late });
        await running.Kms.RefusedAsync(
            "NotFoundException",
            "CreateAlias",
            new { AliasName = "alias/b", TargetKeyId = late });
        await running.Kms.DoAsync("UpdateAlias", new { AliasName = "alias/a", TargetKeyId = second });
        Assert.Equal(first, await Target());
        running.Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(second, await Target());
        await running.Kms.DoAsync("DescribeKey", new { KeyId = late });

        await running.Kms.DoAsync("DeleteAlias", new { AliasName = "alias/a" });
        Assert.Equal(second, await Target());
        running.Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Null(await Target());

        await running.Kms.DoAsync("CreateAlias", new { AliasName = "alias/a", TargetKeyId = first });
        Assert.Null(await Target());
        running.Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(first, await Target());
    }
}
