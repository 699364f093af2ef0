using System.Text.Json.Nodes;

namespace SignSvc.Emulation.Tests.Recorded;

internal static partial class Scenarios
{
    private static async Task test_create_key(Replay replay)
    {
        var key = await CreateKey(replay, usage: EncryptDecrypt, description: "test key 123");
        var listed = await replay.Kms.DoAsync("ListKeys", new { Limit = 1000 });
        Assert.Contains(
            listed.Body["Keys"]!.AsArray(),
            k => string.Equals(k!["KeyId"]!.GetValue<string>(), key.KeyId, StringComparison.Ordinal));
        replay.Match("describe-key", (await replay.Kms.DoAsync("DescribeKey", new { key.KeyId })).Metadata);
    }

    private static async Task test_get_key_in_different_region(Replay replay)
    {
        using var elsewhere = replay.Kms.In(Replay.SecondaryRegion);
        var key = await elsewhere.DoAsync("CreateKey", new { Description = "test key 123" });
        replay.Match(
            "describe-key-same-specific-region-with-id",
            await elsewhere.SendAsync("DescribeKey", new { key.KeyId }));
        replay.Match(
            "describe-key-same-specific-region-with-arn",
            await elsewhere.SendAsync("DescribeKey", new { KeyId = key.Arn }));
        replay.Match("describe-key-diff-region-with-id", await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        replay.Match(
            "describe-key-diff-region-with-arn",
            await replay.Kms.SendAsync("DescribeKey", new { KeyId = key.Arn }));
    }

    private static async Task test_get_key_does_not_exist(Replay replay)
    {
        const string Unknown = "134f2428-cec1-4b25-a1ae-9048164dba47";
        var key = await CreateKey(replay, description: "test key 123");
        var arn = key.Arn.Replace(key.KeyId, Unknown, StringComparison.Ordinal);
        replay.Match(
            "describe-nonexistent-key-with-id",
            await replay.Kms.SendAsync("DescribeKey", new { KeyId = Unknown }));
        replay.Match("describe-nonexistent-with-arn", await replay.Kms.SendAsync("DescribeKey", new { KeyId = arn }));
        replay.Match(
            "describe-key-with-valid-id-mrk",
            await replay.Kms.SendAsync("DescribeKey", new { KeyId = "mrk-d3b95762d3b95762d3b95762d3b95762" }));
    }

    private static async Task test_get_key_invalid_uuid(Replay replay)
    {
        replay.Match(
            "describe-key-with-invalid-uuid",
            await replay.Kms.SendAsync("DescribeKey", new { KeyId = "fake-key-id" }));
        replay.Match(
            "describe-key-with-invalid-uuid-2",
            await replay.Kms.SendAsync("DescribeKey", new { KeyId = "134f2428cec14b25a1ae9048164dba47" }));
        replay.Match(
            "describe-key-with-invalid-uuid-mrk",
            await replay.Kms.SendAsync("DescribeKey", new { KeyId = "mrk-fake-key-id" }));
    }

    private static async Task test_create_alias(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        replay.Match(
            "create_alias",
            await replay.Kms.SendAsync("CreateAlias", new { AliasName = "a1b2c3d4", TargetKeyId = keyId }));
    }

    private static async Task test_describe_with_alias_arn(Replay replay)
    {
        var key = await CreateKey(replay, description: "test - description");
        replay.Match("created-key", key.Metadata);
        var alias = $"alias/{key.KeyId[..8]}";
        await replay.Kms.DoAsync("CreateAlias", new { AliasName = alias, TargetKeyId = key.KeyId });
        var arn = key.Arn.Replace($"key/{key.KeyId}", alias, StringComparison.Ordinal);
        replay.Match("describe-key", await replay.Kms.SendAsync("DescribeKey", new { KeyId = arn }));
    }

    private static async Task test_create_multi_region_key(Replay replay)
    {
        var key = await replay.Kms.DoAsync(
            "CreateKey",
            new { MultiRegion = true, Description = "test multi region key" });
        Assert.StartsWith("mrk-", key.KeyId, StringComparison.Ordinal);
        replay.Match("create_multi_region_key", key.Metadata);
    }

    private static async Task test_non_multi_region_keys_should_not_have_multi_region_properties(Replay replay)
    {
        var key = await replay.Kms.DoAsync(
            "CreateKey",
            new { MultiRegion = false, Description = "test non multi region key" });
        replay.Match("non_multi_region_keys_should_not_have_multi_region_properties", key.Metadata);
    }

    private static async Task test_hmac_create_key_invalid_operations(Replay replay)
    {
        replay.Match(
            "create-hmac-key-without-key-usage",
            await replay.Kms.SendAsync("CreateKey", new { KeySpec = "HMAC_256" }));
        replay.Match(
            "create-hmac-key-invalid-spec",
            await replay.Kms.SendAsync("CreateKey", new { KeySpec = "HMAC_random" }));
        replay.Match(
            "create-hmac-key-invalid-key-usage",
            await replay.Kms.SendAsync("CreateKey", new { KeySpec = "HMAC_256", KeyUsage = "RANDOM" }));
    }

    private static async Task test_replicate_key(Replay replay)
    {
        const string ReplicaRegion = "ap-southeast-1";
        using var elsewhere = replay.Kms.In(ReplicaRegion);
        var key = await replay.Kms.DoAsync(
            "CreateKey",
            new { MultiRegion = true, Description = "test replicated key" });
        replay.Match("describe-key-from-different-region", await elsewhere.SendAsync("DescribeKey", new { key.KeyId }));
        replay.Match("replicate-key", await replay.Kms.SendAsync("ReplicateKey", new { key.KeyId, ReplicaRegion }));
        replay.Match("describe-key-from-region", await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        replay.Match("describe-replicated-key", await elsewhere.SendAsync("DescribeKey", new { key.KeyId }));
    }

    private static async Task test_replicate_replica_key_should_fail(Replay replay)
    {
        var key = await replay.Kms.DoAsync("CreateKey", new { MultiRegion = true });
        await replay.Kms.DoAsync("ReplicateKey", new { key.KeyId, ReplicaRegion = Replay.SecondaryRegion });
        using var elsewhere = replay.Kms.In(Replay.SecondaryRegion);
        replay.Match(
            "fail-replicate-non-primary-key",
            await elsewhere.SendAsync("ReplicateKey", new { key.KeyId, ReplicaRegion = Replay.SecondaryRegion }));
    }

    private static async Task test_tag_existing_key_and_untag(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        await replay.Kms.DoAsync("TagResource", new { KeyId = keyId, Tags = Numbered(1, 2) });
        await CompareTags(replay, keyId, "list-resource-tags");
        await replay.Kms.DoAsync("UntagResource", new { KeyId = keyId, TagKeys = new[] { "tag1", "tag2" } });
        await CompareTags(replay, keyId, "list-resource-tags-after-all-untagged");
    }

    private static async Task test_create_key_with_tag_and_untag(Replay replay)
    {
        var keyId = (await replay.Kms.DoAsync("CreateKey", new { Tags = Numbered(1, 2) })).KeyId;
        await CompareTags(replay, keyId, "list-resource-tags");
        await replay.Kms.DoAsync("UntagResource", new { KeyId = keyId, TagKeys = new[] { "tag1", "tag2" } });
        await CompareTags(replay, keyId, "list-resource-tags-after-all-untagged");
    }

    private static async Task test_untag_key_partially(Replay replay)
    {
        var keyId = (await replay.Kms.DoAsync("CreateKey", new { Tags = Numbered(1, 2, 3) })).KeyId;
        await CompareTags(replay, keyId, "list-resource-tags");
        await replay.Kms.DoAsync("UntagResource", new { KeyId = keyId, TagKeys = new[] { "tag2" } });
        await CompareTags(replay, keyId, "list-resource-tags-after-partially-untagged");
    }

    private static async Task test_update_and_add_tags_on_tagged_key(Replay replay)
    {
        var keyId = (await replay.Kms.DoAsync("CreateKey", new { Tags = Numbered(1, 2, 3) })).KeyId;
        await CompareTags(replay, keyId, "list-resource-tags");
        await replay.Kms.DoAsync(
            "TagResource",
            new { KeyId = keyId, Tags = Numbered(4, 5).Append(Tag("tag2", "updated_value2")) });
        await CompareTags(replay, keyId, "list-resource-tags-after-tags-updated");
    }

    private static async Task test_tag_key_with_duplicate_tag_keys_raises_error(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        var tags = new[] { Tag("tag1", "value1"), Tag("tag1", "another-value1") };
        replay.Match(
            "duplicate-tag-keys",
            await replay.Kms.SendAsync("TagResource", new { KeyId = keyId, Tags = tags }));
    }

    private static async Task test_create_key_with_too_many_tags_raises_error(Replay replay) =>
        replay.Match(
            "invalid-tag-key",
            await replay.Kms.SendAsync("CreateKey", new { Tags = Numbered([.. Enumerable.Range(0, 51)]) }));

    private static async Task test_tag_existing_key_with_invalid_tag_key(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        replay.Match(
            "invalid-tag-key",
            await replay.Kms.SendAsync("TagResource", new { KeyId = keyId, Tags = new[] { Tag("aws:key1", "value1") } })
        );
    }

    private static async Task test_key_with_long_tag_value_raises_error(Replay replay) =>
        replay.Match(
            "too-long-tag-value",
            await replay.Kms.SendAsync("CreateKey", new { Tags = new[] { Tag("tag1", new string('v', 257)) } }));

    private static async Task test_create_key_with_invalid_tag_key(Replay replay)
    {
        var name = replay.Arguments[0] switch
        {
            "lowercase_prefix" => "aws:key1",
            "uppercase_prefix" => "AWS:key1",
            _ => new string('a', 129),
        };
        replay.Match(
            "invalid-tag-key",
            await replay.Kms.SendAsync("CreateKey", new { Tags = new[] { Tag(name, "value1") } }));
    }

    private static async Task CompareTags(Replay replay, string keyId, string step) =>
        replay.Match(step, (await replay.Kms.DoAsync("ListResourceTags", new { KeyId = keyId })).Body["Tags"]);

    private static IEnumerable<JsonObject> Numbered(params int[] numbers) =>
        numbers.Select(n => Tag($"tag{n}", $"value{n}"));

    private static JsonObject Tag(string key, string value) => new() { ["TagKey"] = key, ["TagValue"] = value };
}
