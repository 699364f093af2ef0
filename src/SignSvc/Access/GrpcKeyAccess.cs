using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Google.Protobuf.WellKnownTypes;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;
using SignSvc.Grpc;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Access.Policies;
using V1 = SignSvc.Grpc.V1;

namespace SignSvc.Access;

/// <summary><c>signsvc.v1.Keys</c>, as far as it says who may use a key: its own policy, and grants.</summary>
internal sealed class GrpcKeyAccess(PolicyAdministration policies, KeyGrants grants, GrantTokens tokens, IOptions<JsonOptions> json)
{
    public async ValueTask<V1.GetKeyPolicyResponse> GetPolicyAsync(V1.GetKeyPolicyRequest request, GrpcCall call)
    {
        var (key, policy) = await policies.ReadOfKeyAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken);
        return new V1.GetKeyPolicyResponse { Policy = Of(key.Id, policy) };
    }

    public async ValueTask<V1.PutKeyPolicyResponse> PutPolicyAsync(V1.PutKeyPolicyRequest request, GrpcCall call)
    {
        var document = Parse<PolicyDocument>("document", request.Document);
        var put = await policies.PutOfKeyAsync(call.HttpContext.Caller(), request.Key, document, request.Force, call.CancellationToken);
        return new V1.PutKeyPolicyResponse
        {
            Policy = Of(put.Policy.Name, put.Policy),
            Findings =
            {
                put.Findings.Select(f => new V1.PolicyFinding
                {
                    Kind = JsonNamingPolicy.CamelCase.ConvertName(f.Kind.ToString()),
                    Statement = f.Statement,
                    Message = f.Message,
                }),
            },
        };
    }

    public async ValueTask<V1.DeleteKeyPolicyResponse> DeletePolicyAsync(V1.DeleteKeyPolicyRequest request, GrpcCall call)
    {
        await policies.DeleteOfKeyAsync(call.HttpContext.Caller(), request.Key, request.Force, call.CancellationToken);
        return new V1.DeleteKeyPolicyResponse();
    }

    public async ValueTask<V1.CreateGrantResponse> CreateGrantAsync(V1.CreateGrantRequest request, GrpcCall call)
    {
        var wish = new NewGrant(
            Wishes.Text(request.Name),
            request.Grantee,
            [.. request.Operations],
            request.Constraints.Length == 0 ? null : Parse<PolicyConditions>("constraints", request.Constraints),
            Wishes.Time(request.ExpiresAt, "expires_at"),
            request.MaxUses switch
            {
                0 => null,
                <= int.MaxValue => (int)request.MaxUses,
                _ => throw Wishes.Invalid("max_uses is too large."),
            });
        var grant = await grants.CreateAsync(call.HttpContext.Caller(), request.Key, wish, call.CancellationToken);
        return new V1.CreateGrantResponse { Grant = Of(grant), Token = tokens.For(grant) };
    }

    public async ValueTask<V1.ListGrantsResponse> ListGrantsAsync(V1.ListGrantsRequest request, GrpcCall call) => new()
    {
        Grants = { (await grants.ListAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken)).Select(Of) },
    };

    public async ValueTask<V1.RevokeGrantResponse> RevokeGrantAsync(V1.RevokeGrantRequest request, GrpcCall call)
    {
        await grants.RevokeAsync(call.HttpContext.Caller(), request.Key, request.Grant, call.CancellationToken);
        return new V1.RevokeGrantResponse();
    }

    public async ValueTask<V1.RetireGrantResponse> RetireGrantAsync(V1.RetireGrantRequest request, GrpcCall call)
    {
        await grants.RetireAsync(call.HttpContext.Caller(), request.Key, request.Grant, call.CancellationToken);
        return new V1.RetireGrantResponse();
    }

    private V1.KeyPolicy Of(string keyId, StoredPolicy? policy) => new()
    {
        KeyId = keyId,
        Document = Write(policy?.Document ?? PolicyDocument.Empty),
        ChangedAt = policy is null ? null : Timestamp.FromDateTimeOffset(policy.ChangedAt),
        ChangedBy = policy?.ChangedBy ?? "",
    };

    private V1.Grant Of(Grant grant) => new()
    {
        Id = grant.Id,
        KeyId = grant.KeyId,
        Name = grant.Name ?? "",
        Grantee = grant.Grantee,
        Operations = { grant.Operations },
        Constraints = Write(grant.Constraints),
        CreatedAt = Timestamp.FromDateTimeOffset(grant.CreatedAt),
        CreatedBy = grant.CreatedBy,
        ExpiresAt = grant.ExpiresAt is { } end ? Timestamp.FromDateTimeOffset(end) : null,
        MaxUses = (uint)(grant.MaxUses ?? 0),
        UsesLeft = (uint)Math.Max(0, (grant.MaxUses - grant.Uses) ?? 0),
    };

    /// <summary>Read as strictly as a body of HTTP.</summary>
    private T Parse<T>(string name, string text)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(text, TypeOf<T>()) ?? throw Wishes.Invalid($"{name} is null.");
        }
        catch (JsonException e)
        {
            throw Wishes.Invalid($"{name} is no such JSON: {e.Message}");
        }
    }

    private string Write<T>(T value) => JsonSerializer.Serialize(value, TypeOf<T>());

    private JsonTypeInfo<T> TypeOf<T>() => (JsonTypeInfo<T>)json.Value.SerializerOptions.GetTypeInfo(typeof(T));
}
