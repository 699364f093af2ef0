using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Compatibility.AwsKms;

/// <summary>Aliases in AWS KMS's words. A key's own name is listed among them, and is not theirs to change.</summary>
internal sealed class AliasOperations(KeyAliases aliases, KeyLifecycle keys)
{
    private const int UsualPage = 50;
    private const int MaxPage = 100;

    public async Task<Action<Utf8JsonWriter>?> ListAsync(KmsCall call)
    {
        var size = call.Number("Limit", UsualPage, 1, MaxPage);
        var after = call.Text("Marker");
        var target = call.Text("KeyId") is null ? null : call.Key();
        var all = await keys.ListAsync(call.Caller, new KeyFilter(), int.MaxValue, after: null, call.CancellationToken);
        // One more than is shown tells whether there is a next page.
        var page = all
            .Where(key => target is null || string.Equals(key.Id, target, StringComparison.Ordinal) || key.Aliases.Add(key.Name).Contains(target))
            .SelectMany(key => key.Aliases.Add(key.Name), (key, alias) => (Alias: alias, Key: key))
            .Where(a => after is null || string.CompareOrdinal(a.Alias, after) > 0)
            .OrderBy(a => a.Alias, StringComparer.Ordinal)
            .Take(size + 1)
            .ToArray();
        return writer =>
        {
            writer.WriteStartArray("Aliases");
            foreach (var (alias, key) in page.Take(size))
            {
                writer.WriteStartObject();
                writer.WriteString("AliasName", KeyNames.AliasOf(alias));
                writer.WriteString("AliasArn", KeyNames.AliasArnOf(alias, call.Region));
                writer.WriteString("TargetKeyId", key.Id);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            if (page.Length > size)
                writer.WriteString("NextMarker", page[size - 1].Alias);
            writer.WriteBoolean("Truncated", page.Length > size);
        };
    }

    public Task<Action<Utf8JsonWriter>?> CreateAsync(KmsCall call) => PutAsync(call, AliasBefore.Absent);

    public Task<Action<Utf8JsonWriter>?> UpdateAsync(KmsCall call) => PutAsync(call, AliasBefore.Present);

    public async Task<Action<Utf8JsonWriter>?> DeleteAsync(KmsCall call)
    {
        await aliases.DeleteAsync(call.Caller, call.Alias(), call.CancellationToken);
        return null;
    }

    private async Task<Action<Utf8JsonWriter>?> PutAsync(KmsCall call, AliasBefore before)
    {
        var alias = call.Alias();
        await aliases.PutAsync(call.Caller, alias, call.KeyNoAlias("TargetKeyId"), call.CancellationToken, before);
        return null;
    }
}
