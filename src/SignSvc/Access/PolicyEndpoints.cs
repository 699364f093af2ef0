using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Http;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Keys;

namespace SignSvc.Access;

/// <param name="Findings">What lint thinks of it; only in the answer to a change.</param>
public sealed record PolicyAnswer(
    string Name, PolicyDocument Document, DateTimeOffset? ChangedAt, string? ChangedBy, ImmutableArray<PolicyFinding>? Findings = null)
{
    public static PolicyAnswer Of(StoredPolicy p, ImmutableArray<PolicyFinding>? findings = null) =>
        new(p.Name, p.Document, p.ChangedAt, p.ChangedBy, findings);
}

/// <param name="BuiltIn">The roles, as policies for those who hold them; they cannot be changed.</param>
public sealed record PolicyList(ImmutableArray<PolicyAnswer> Policies, ImmutableArray<PolicyAnswer> BuiltIn);

/// <param name="Document">Without statements where the key has no policy.</param>
public sealed record KeyPolicyAnswer(
    string KeyId, string Key, PolicyDocument Document, DateTimeOffset? ChangedAt, string? ChangedBy, ImmutableArray<PolicyFinding>? Findings = null)
{
    public static KeyPolicyAnswer Of(Key key, StoredPolicy? p) =>
        new(key.Id, key.Name, p?.Document ?? PolicyDocument.Empty, p?.ChangedAt, p?.ChangedBy);
}

/// <summary><c>/v1/policies</c> and <c>/v1/keys/{key}/policy</c>: who may do what.</summary>
public static class PolicyEndpoints
{
    public static void MapPolicies(this IEndpointRouteBuilder routes)
    {
        var policies = routes.MapGroup("/v1/policies").WithTags("Policies").WithProblems();
        policies.MapGet("/", ListAsync).WithName("ListPolicies");
        policies.MapGet("/{policy}", ReadAsync).WithName("ReadPolicy");
        policies.MapPut("/{policy}", PutAsync).WithName("PutPolicy");
        policies.MapDelete("/{policy}", DeleteAsync).WithName("DeletePolicy");

        var ofKey = routes.MapGroup("/v1/keys/{key}/policy").WithTags("Policies").WithProblems();
        ofKey.MapGet("/", ReadOfKeyAsync).WithName("ReadKeyPolicy");
        ofKey.MapPut("/", PutOfKeyAsync).WithName("PutKeyPolicy");
        ofKey.MapDelete("/", DeleteOfKeyAsync).WithName("DeleteKeyPolicy");
    }

    private static async Task<Ok<PolicyList>> ListAsync(
        HttpContext http, PolicyAdministration policies, CancellationToken cancellationToken)
    {
        var all = await policies.ListAsync(http.Caller(), cancellationToken);
        return TypedResults.Ok(new PolicyList(
            [.. all.Select(p => PolicyAnswer.Of(p))],
            [.. Enum.GetValues<Role>().Select(r => new PolicyAnswer(r.PolicyName(), r.AsPolicy(), ChangedAt: null, ChangedBy: null))]));
    }

    private static async Task<Ok<PolicyAnswer>> ReadAsync(
        HttpContext http, string policy, PolicyAdministration policies, CancellationToken cancellationToken) =>
        TypedResults.Ok(PolicyAnswer.Of(await policies.ReadAsync(http.Caller(), policy, cancellationToken)));

    /// <param name="force">Put it also where nobody could change it back.</param>
    private static async Task<Ok<PolicyAnswer>> PutAsync(
        HttpContext http, string policy, PolicyDocument document, PolicyAdministration policies, CancellationToken cancellationToken, bool force = false)
    {
        var put = await policies.PutAsync(http.Caller(), policy, document, force, cancellationToken);
        return TypedResults.Ok(PolicyAnswer.Of(put.Policy, put.Findings));
    }

    private static async Task<NoContent> DeleteAsync(
        HttpContext http, string policy, PolicyAdministration policies, CancellationToken cancellationToken, bool force = false)
    {
        await policies.DeleteAsync(http.Caller(), policy, force, cancellationToken);
        return TypedResults.NoContent();
    }

    private static async Task<Ok<KeyPolicyAnswer>> ReadOfKeyAsync(
        HttpContext http, string key, PolicyAdministration policies, CancellationToken cancellationToken)
    {
        var (found, policy) = await policies.ReadOfKeyAsync(http.Caller(), key, cancellationToken);
        return TypedResults.Ok(KeyPolicyAnswer.Of(found, policy));
    }

    private static async Task<Ok<PolicyAnswer>> PutOfKeyAsync(
        HttpContext http, string key, PolicyDocument document, PolicyAdministration policies, CancellationToken cancellationToken, bool force = false)
    {
        var put = await policies.PutOfKeyAsync(http.Caller(), key, document, force, cancellationToken);
        return TypedResults.Ok(PolicyAnswer.Of(put.Policy, put.Findings));
    }

    private static async Task<NoContent> DeleteOfKeyAsync(
        HttpContext http, string key, PolicyAdministration policies, CancellationToken cancellationToken, bool force = false)
    {
        await policies.DeleteOfKeyAsync(http.Caller(), key, force, cancellationToken);
        return TypedResults.NoContent();
    }
}
