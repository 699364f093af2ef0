using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Grants;

/// <summary>CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant.</summary>
internal static class GrantOperations
{
    private const string PrincipalPattern = @"^[\w+=,.@:/-]+$";

    private static readonly string[] GrantableOperations =
    [
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
        "Sign",
        "Verify",
        "GetPublicKey",
        "CreateGrant",
        "RetireGrant",
        "DescribeKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateMac",
        "VerifyMac",
        "DeriveSharedSecret",
    ];

    private static readonly string[] AnyKeyOperations = ["CreateGrant", "RetireGrant", "DescribeKey"];

    public static JsonObject CreateGrant(Call call)
    {
        var asked = Read(call);
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        key.RequireEnabled(call.Now);
        Check(asked, key);
        call.StopIfDryRun();
        var grant = asked.Name is null ? null : key.Grants.Find(g => g.Equivalent(asked));
        if (grant is null)
        {
            if (key.Grants.Count >= call.World.Settings.GrantsPerKey)
                throw KmsException.LimitExceeded(
                    $"You have reached the limit of {call.World.Settings.GrantsPerKey} grants for {key.Arn}.");
            key.Grants.Add(asked);
            grant = asked;
        }

        // Every call gets a token of its own; each of them retires the grant.
        var token = $"{key.Arn} {grant.Id} {Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16))}";
        return new JsonObject
        {
            ["GrantId"] = grant.Id,
            ["GrantToken"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(token)),
        };
    }

    public static JsonObject ListGrants(Call call)
    {
        var id = call.In.Text("GrantId", max: 128);
        var grantee = call.In.Text("GranteePrincipal", max: 256, pattern: PrincipalPattern);
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        var grants = key
            .Grants.Where(g => id is null || string.Equals(g.Id, id, StringComparison.Ordinal))
            .Where(g => grantee is null || string.Equals(g.GranteePrincipal, grantee, StringComparison.Ordinal))
            .OrderBy(g => g.Id, StringComparer.Ordinal);
        return Page.Of(call, "Grants", grants, g => g.Id, g => g.ToJson(key.Arn), usual: 50, most: 100);
    }

    /// <summary>Grants of all the caller's keys in the Region that a principal may retire.</summary>
    public static JsonObject ListRetirableGrants(Call call)
    {
        var principal = call.In.RequiredText("RetiringPrincipal", max: 256, pattern: PrincipalPattern);
        var grants = call
            .World.KeysOf(call.Caller, call.Now)
            .SelectMany(k => k.Grants, (k, g) => (Key: k, Grant: g))
            .Where(e => string.Equals(e.Grant.RetiringPrincipal, principal, StringComparison.Ordinal))
            .OrderBy(e => e.Grant.Id, StringComparer.Ordinal);
        return Page.Of(call, "Grants", grants, e => e.Grant.Id, e => e.Grant.ToJson(e.Key.Arn), usual: 50, most: 100);
    }

    public static JsonObject RevokeGrant(Call call)
    {
        var id = call.In.RequiredText("GrantId", max: 128);
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        Remove(call, key, id);
        return [];
    }

    /// <summary>Takes either a grant token, or a grant id with the ARN of its key.</summary>
    public static JsonObject RetireGrant(Call call)
    {
        if (call.In.Text("GrantToken", max: 8192) is { } token)
        {
            var (keyArn, grantId) = Decode(token);
            Remove(call, call.World.Resolve(call, keyArn), grantId);
            return [];
        }

        if (!call.In.Has("KeyId") || !call.In.Has("GrantId"))
            throw KmsException.Validation("You must specify a grant token, or a grant ID and a key ARN.");
        var id = call.In.RequiredText("GrantId", max: 128);
        Remove(call, call.World.Resolve(call, call.In.RequiredKeyId()), id);
        return [];
    }

    private static Grant Read(Call call)
    {
        var operations = call.In.Texts("Operations", max: 64);
        if (operations.Count == 0)
            throw call.In.Missing("Operations");
        foreach (var operation in operations)
        {
            if (!GrantableOperations.Contains(operation, StringComparer.Ordinal))
                throw KmsException.Constraint(
                    "operations",
                    $"[{string.Join(", ", operations)}]",
                    $"Member must satisfy constraint: [Member must satisfy enum value set: [{string.Join(", ", GrantableOperations)}]]");
        }

        var (kind, context) = ReadConstraints(call);
        return new Grant
        {
            Id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)),
            Name = call.In.Text("Name", max: 256, pattern: "^[a-zA-Z0-9:/_-]+$"),
            GranteePrincipal = call.In.RequiredText("GranteePrincipal", max: 256, pattern: PrincipalPattern),
            RetiringPrincipal = call.In.Text("RetiringPrincipal", max: 256, pattern: PrincipalPattern),
            Operations = [.. operations.Distinct(StringComparer.Ordinal)],
            ConstraintKind = kind,
            ConstraintContext = context,
            IssuingAccount = call.Caller.AccountId,
            CreatedAt = call.Now,
        };
    }

    private static (string? Kind, SortedDictionary<string, string> Context) ReadConstraints(Call call)
    {
        if (call.In.Structure("Constraints") is { } constraints)
        {
            foreach (var kind in (string[])["EncryptionContextEquals", "EncryptionContextSubset"])
            {
                if (constraints.Has(kind))
                    return (kind, constraints.TextMap(kind));
            }
        }

        return (null, new SortedDictionary<string, string>(StringComparer.Ordinal));
    }

    private static void Check(Grant grant, KmsKey key)
    {
        if (grant.ConstraintKind is not null && key.Spec.Kind != KeyKind.Symmetric)
            throw KmsException.Validation("Encryption context constraints are supported for symmetric KMS keys only.");
        var allowed = AnyKeyOperations.AsEnumerable();
        if (key.Usage is KeySpec.SignVerify)
            allowed = allowed.Concat(["Sign", "Verify", "GetPublicKey"]);
        else if (key.Spec.Kind == KeyKind.Rsa)
            allowed = allowed.Concat(["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey"]);
        else
            allowed = allowed.Concat(
                GrantableOperations.Except(
                    ["Sign", "Verify", "GetPublicKey", "GenerateMac", "VerifyMac", "DeriveSharedSecret"],
                    StringComparer.Ordinal));
        if (grant.Operations.Except(allowed, StringComparer.Ordinal).FirstOrDefault() is { } unfit)
            throw KmsException.Validation(
                $"Grant operation {unfit} is not supported for a key with key usage {key.Usage} and key spec {key.SpecName}.");
    }

    private static void Remove(Call call, KmsKey key, string grantId)
    {
        var grant =
            key.Grants.Find(g => string.Equals(g.Id, grantId, StringComparison.Ordinal))
            ?? throw KmsException.NotFound($"Grant '{grantId}' does not exist");
        call.StopIfDryRun();
        key.Grants.Remove(grant);
    }

    private static (string KeyArn, string GrantId) Decode(string token)
    {
        var buffer = new byte[token.Length];
        if (Convert.TryFromBase64String(token, buffer, out var length)
            && Encoding.UTF8.GetString(buffer, 0, length).Split(' ') is [var arn, var id, _])
            return (arn, id);
        throw new KmsException("InvalidGrantTokenException");
    }
}
