using SignSvc.Access;
using SignSvc.Grpc;
using V1 = SignSvc.Grpc.V1;

namespace SignSvc.Keys;

/// <summary><c>signsvc.v1.Keys</c>: what HTTP has under <c>/v1/keys</c> and <c>/v1/aliases</c>, through the same classes.</summary>
public static class GrpcKeyRoutes
{
    public static void MapGrpcKeys(this IEndpointRouteBuilder routes)
    {
        var services = routes.ServiceProvider;
        var keys = ActivatorUtilities.CreateInstance<GrpcKeys>(services);
        var versions = ActivatorUtilities.CreateInstance<GrpcKeyVersions>(services);
        var import = ActivatorUtilities.CreateInstance<GrpcKeyImport>(services);
        var access = ActivatorUtilities.CreateInstance<GrpcKeyAccess>(services);
        routes.MapGrpcService(V1.KeysReflection.Descriptor.Services[0], methods => methods
            .Unary<V1.CreateKeyRequest, V1.CreateKeyResponse>("CreateKey", keys.CreateAsync)
            .Unary<V1.GetKeyRequest, V1.GetKeyResponse>("GetKey", keys.GetAsync)
            .Unary<V1.ListKeysRequest, V1.ListKeysResponse>("ListKeys", keys.ListAsync)
            .Unary<V1.UpdateKeyRequest, V1.UpdateKeyResponse>("UpdateKey", keys.UpdateAsync)
            .Unary<V1.EnableKeyRequest, V1.EnableKeyResponse>("EnableKey", keys.EnableAsync)
            .Unary<V1.DisableKeyRequest, V1.DisableKeyResponse>("DisableKey", keys.DisableAsync)
            .Unary<V1.ScheduleKeyDeletionRequest, V1.ScheduleKeyDeletionResponse>("ScheduleKeyDeletion", keys.ScheduleDeletionAsync)
            .Unary<V1.CancelKeyDeletionRequest, V1.CancelKeyDeletionResponse>("CancelKeyDeletion", keys.CancelDeletionAsync)
            .Unary<V1.GetPublicKeyRequest, V1.GetPublicKeyResponse>("GetPublicKey", keys.GetPublicKeyAsync)
            .Unary<V1.RotateKeyRequest, V1.RotateKeyResponse>("RotateKey", versions.RotateAsync)
            .Unary<V1.RevokeKeyVersionRequest, V1.RevokeKeyVersionResponse>("RevokeKeyVersion", versions.RevokeAsync)
            .Unary<V1.ListKeyVersionsRequest, V1.ListKeyVersionsResponse>("ListKeyVersions", versions.ListAsync)
            .Unary<V1.GetKeyTimelineRequest, V1.GetKeyTimelineResponse>("GetKeyTimeline", versions.GetTimelineAsync)
            .Unary<V1.RewrapKeyRequest, V1.RewrapKeyResponse>("RewrapKey", versions.RewrapAsync)
            .Unary<V1.PutCertificateChainRequest, V1.PutCertificateChainResponse>("PutCertificateChain", versions.PutChainAsync)
            .Unary<V1.PutAliasRequest, V1.PutAliasResponse>("PutAlias", versions.PutAliasAsync)
            .Unary<V1.GetAliasRequest, V1.GetAliasResponse>("GetAlias", versions.GetAliasAsync)
            .Unary<V1.ListAliasesRequest, V1.ListAliasesResponse>("ListAliases", versions.ListAliasesAsync)
            .Unary<V1.DeleteAliasRequest, V1.DeleteAliasResponse>("DeleteAlias", versions.DeleteAliasAsync)
            .Unary<V1.GetImportParametersRequest, V1.GetImportParametersResponse>("GetImportParameters", import.PrepareAsync)
            .Unary<V1.ImportKeyMaterialRequest, V1.ImportKeyMaterialResponse>("ImportKeyMaterial", import.ImportAsync)
            .Unary<V1.GetKeyPolicyRequest, V1.GetKeyPolicyResponse>("GetKeyPolicy", access.GetPolicyAsync)
            .Unary<V1.PutKeyPolicyRequest, V1.PutKeyPolicyResponse>("PutKeyPolicy", access.PutPolicyAsync)
            .Unary<V1.DeleteKeyPolicyRequest, V1.DeleteKeyPolicyResponse>("DeleteKeyPolicy", access.DeletePolicyAsync)
            .Unary<V1.CreateGrantRequest, V1.CreateGrantResponse>("CreateGrant", access.CreateGrantAsync)
            .Unary<V1.ListGrantsRequest, V1.ListGrantsResponse>("ListGrants", access.ListGrantsAsync)
            .Unary<V1.RevokeGrantRequest, V1.RevokeGrantResponse>("RevokeGrant", access.RevokeGrantAsync)
            .Unary<V1.RetireGrantRequest, V1.RetireGrantResponse>("RetireGrant", access.RetireGrantAsync));
    }
}
