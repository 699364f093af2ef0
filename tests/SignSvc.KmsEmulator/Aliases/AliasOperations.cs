using System.Text.Json.Nodes;
using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Aliases;

/// <summary>CreateAlias, UpdateAlias, DeleteAlias, ListAliases.</summary>
internal static class AliasOperations
{
    public static JsonObject CreateAlias(Call call)
    {
        var name = ReadName(call);
        var key = Target(call);
        call.World.ForgetDeleted(call.Now);
        var arn = Alias.ArnOf(call.Caller, name);
        var alias = call.World.FindAlias(arn);
        if (alias?.Target is not null)
            throw new KmsException("AlreadyExistsException", $"An alias with the name {arn} already exists");
        RequireRoom(call, key);
        if (alias is null)
        {
            alias = new Alias
            {
                AccountId = call.Caller.AccountId,
                Region = call.Caller.Region,
                Name = name,
                CreatedAt = call.Now,
            };
            call.World.Add(alias);
        }

        alias.Change(key.Id, call.Now, call.World.Settings.ConsistencyDelay);
        return [];
    }

    /// <summary>The new key must be of the same kind and usage as the old one.</summary>
    public static JsonObject UpdateAlias(Call call)
    {
        var alias = Existing(call, ReadName(call));
        var key = Target(call);
        var old = call.World.Keys.FirstOrDefault(alias.Targets);
        if (old is not null
            && (
                !string.Equals(old.Usage, key.Usage, StringComparison.Ordinal)
                || (old.Spec.Kind == KeyKind.Symmetric) != (key.Spec.Kind == KeyKind.Symmetric)))
            throw KmsException.Validation(
                $"Alias {alias.Arn} cannot be changed from a key with key usage {old.Usage} to a key with key usage {key.Usage}.");
        if (!alias.Targets(key))
            RequireRoom(call, key);
        alias.Change(key.Id, call.Now, call.World.Settings.ConsistencyDelay);
        return [];
    }

    public static JsonObject DeleteAlias(Call call)
    {
        var alias = Existing(call, ReadName(call));
        alias.Change(target: null, call.Now, call.World.Settings.ConsistencyDelay);
        if (alias.TargetAt(call.Now) is null)
            call.World.RemoveAlias(alias.Arn);
        return [];
    }

    public static JsonObject ListAliases(Call call)
    {
        var aliases = call.World.AliasesOf(call.Caller, call.Now);
        if (call.In.Text("KeyId", max: 2048) is { } reference)
        {
            var key = call.World.Resolve(call, reference);
            aliases = aliases.Where(a => string.Equals(a.TargetAt(call.Now), key.Id, StringComparison.Ordinal));
        }

        return Page.Of(call, "Aliases", aliases, a => a.Name, ToJson, usual: 50, most: 100);

        JsonNode ToJson(Alias alias) =>
            new JsonObject
            {
                ["AliasName"] = alias.Name,
                ["AliasArn"] = alias.Arn,
                ["TargetKeyId"] = alias.TargetAt(call.Now),
                ["CreationDate"] = Answer.Time(alias.CreatedAt),
                ["LastUpdatedDate"] = Answer.Time(alias.UpdatedAt),
            };
    }

    private static string ReadName(Call call)
    {
        var name = call.In.RequiredText("AliasName", max: 256, pattern: "^[a-zA-Z0-9:/_-]+$");
        if (!name.StartsWith(Alias.Prefix, StringComparison.Ordinal))
            throw KmsException.Validation(
                "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html");
        if (name.StartsWith("alias/aws/", StringComparison.Ordinal))
            throw new KmsException("NotAuthorizedException", "The alias prefix alias/aws/ is reserved.");
        if (name.Length == Alias.Prefix.Length || name.Contains(':', StringComparison.Ordinal))
            throw new KmsException("InvalidAliasNameException");
        return name;
    }

    private static KmsKey Target(Call call)
    {
        var key = call.World.Resolve(call, call.In.RequiredKeyId("TargetKeyId"));
        if (!string.Equals(key.AccountId, call.Caller.AccountId, StringComparison.Ordinal))
            throw KmsException.AccessDenied(call.Caller, call.Operation, key.Arn);
        key.RequireNotPendingDeletion(call.Now);
        return key;
    }

    private static Alias Existing(Call call, string name)
    {
        var arn = Alias.ArnOf(call.Caller, name);
        return call.World.FindAlias(arn) is { } alias && (alias.TargetAt(call.Now) ?? alias.Target) is not null
            ? alias
            : throw KmsException.NotFound($"Alias {arn} is not found.");
    }

    private static void RequireRoom(Call call, KmsKey key)
    {
        if (call.World.Aliases.Count(a => a.Targets(key)) >= call.World.Settings.AliasesPerKey)
            throw KmsException.LimitExceeded(
                $"You have reached the limit of {call.World.Settings.AliasesPerKey} aliases for {key.Arn}.");
    }
}
