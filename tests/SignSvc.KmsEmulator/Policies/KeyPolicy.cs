using System.Text.Json;
using System.Text.Json.Nodes;
using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Policies;

/// <summary>
/// Key policies: stored as given, refused when malformed or when they lock everybody out. Inside an account nothing
/// is denied, because IAM is not there; another account needs a statement or a grant that names it.
/// </summary>
internal static class KeyPolicy
{
    private const int MaxLength = 32 * 1024;

    private static readonly string[] Elements =
    [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ];

    /// <summary>Operations that AWS allows on a key of another account.</summary>
    private static readonly string[] ForeignOperations =
    [
        "CreateGrant",
        "Decrypt",
        "DescribeKey",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "GetKeyRotationStatus",
        "GetPublicKey",
        "ListGrants",
        "ListKeyRotations",
        "ReEncrypt",
        "RetireGrant",
        "RevokeGrant",
        "Sign",
        "Verify",
    ];

    public static string Default(string accountId) =>
        $$"""
            {
              "Version" : "2012-10-17",
              "Id" : "key-default-1",
              "Statement" : [ {
                "Sid" : "Enable IAM User Permissions",
                "Effect" : "Allow",
                "Principal" : {
                  "AWS" : "arn:aws:iam::{{accountId}}:root"
                },
                "Action" : "kms:*",
                "Resource" : "*"
              } ]
            }
            """;

    /// <summary>Reads and checks the member Policy; null where there is none.</summary>
    public static string? Read(Call call)
    {
        var text = call.In.Text("Policy", max: 131072, pattern: "^[\u0009\u000A\u000D\u0020-\u00FF]+$");
        if (text is null)
            return null;
        if (text.Length > MaxLength)
            throw KmsException.LimitExceeded($"The key policy is longer than {MaxLength} bytes.");
        var statements = Statements(text);
        var staysChangeable = statements.Any(s => Matches(s, "Allow", call.Caller.AccountId, "PutKeyPolicy"));
        if (!staysChangeable && !call.In.Flag("BypassPolicyLockoutSafetyCheck"))
            throw Malformed("The new key policy will not allow you to update the key policy in the future.");
        return text;
    }

    /// <summary>
    /// Whether a caller of another account may call an operation on a key: by its policy or by a grant, where no
    /// statement denies it.
    /// </summary>
    public static bool AllowsForeign(KmsKey key, Caller caller, string operation)
    {
        if (!ForeignOperations.Contains(operation, StringComparer.Ordinal))
            return false;
        var statements = Statements(key.Policy);
        string[] actions = operation is "ReEncrypt" ? ["ReEncryptFrom", "ReEncryptTo"] : [operation];
        return actions.Any(action =>
            !statements.Exists(s => Matches(s, "Deny", caller.AccountId, action))
            && (statements.Exists(s => Matches(s, "Allow", caller.AccountId, action))
                || key.Grants.Exists(g =>
                    NamesAccount(g.GranteePrincipal, caller.AccountId)
                    && g.Operations.Contains(action, StringComparer.Ordinal))));
    }

    public static JsonObject GetKeyPolicy(Call call)
    {
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        RequireDefault(call);
        return new JsonObject { ["Policy"] = key.Policy, ["PolicyName"] = "default" };
    }

    public static JsonObject PutKeyPolicy(Call call)
    {
        var policy = Read(call) ?? throw call.In.Missing("Policy");
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        RequireDefault(call);
        key.Policy = policy;
        return [];
    }

    public static JsonObject ListKeyPolicies(Call call)
    {
        call.World.Resolve(call, call.In.RequiredKeyId());
        return Page.Of(call, "PolicyNames", ["default"], n => n, n => JsonValue.Create(n)!, usual: 100, most: 1000);
    }

    private static void RequireDefault(Call call)
    {
        if (call.In.Text("PolicyName", max: 128, pattern: @"^[\w]+$") is not (null or "default"))
            throw KmsException.NotFound("No such policy exists");
    }

    private static List<JsonObject> Statements(string text)
    {
        JsonNode? document;
        try
        {
            document = JsonNode.Parse(
                text, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 16 });
        }
        catch (JsonException)
        {
            throw Malformed();
        }

        if (document is not JsonObject policy || policy["Statement"] is not { } statement)
            throw Malformed();
        var list = statement is JsonArray array
            ? [.. array.Select(s => s as JsonObject ?? throw Malformed())]
            : new List<JsonObject> { statement as JsonObject ?? throw Malformed() };
        if (list.Count == 0 || !list.TrueForAll(IsWellFormed))
            throw Malformed();
        return list;
    }

    private static bool IsWellFormed(JsonObject statement) =>
        statement.All(e => Elements.Contains(e.Key, StringComparer.Ordinal))
        && Texts(statement["Effect"]) is ["Allow"] or ["Deny"]
        && statement.ContainsKey("Principal") != statement.ContainsKey("NotPrincipal")
        && statement.ContainsKey("Action") != statement.ContainsKey("NotAction")
        && statement.ContainsKey("Resource") != statement.ContainsKey("NotResource");

    private static bool Matches(JsonObject statement, string effect, string accountId, string action)
    {
        if (!Texts(statement["Effect"]).Contains(effect, StringComparer.Ordinal))
            return false;
        var principals = statement["Principal"] is JsonObject map ? Texts(map["AWS"]) : Texts(statement["Principal"]);
        return principals.Any(p => p is "*" || NamesAccount(p, accountId))
            && Texts(statement["Action"]).Any(a => MatchesAction(a, action));
    }

    private static bool NamesAccount(string principal, string accountId) =>
        string.Equals(principal, accountId, StringComparison.Ordinal)
        || principal.Contains($"::{accountId}:", StringComparison.Ordinal);

    private static bool MatchesAction(string pattern, string action)
    {
        if (pattern is "*")
            return true;
        if (!pattern.StartsWith("kms:", StringComparison.OrdinalIgnoreCase))
            return false;
        var name = pattern.AsSpan(4);
        return name.EndsWith("*")
            ? action.AsSpan().StartsWith(name[..^1], StringComparison.OrdinalIgnoreCase)
            : name.Equals(action, StringComparison.OrdinalIgnoreCase);
    }

    private static List<string> Texts(JsonNode? node) =>
        node switch
        {
            JsonValue value when value.TryGetValue<string>(out var text) => [text],
            JsonArray array =>
            [
                .. array.OfType<JsonValue>().Select(v => v.TryGetValue<string>(out var text) ? text : ""),
            ],
            _ => [],
        };

    private static KmsException Malformed(string? message = null) => new("MalformedPolicyDocumentException", message);
}
