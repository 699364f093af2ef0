using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SignSvc.Access;
using SignSvc.Grpc;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Keys.Import;
using V1 = SignSvc.Grpc.V1;

namespace SignSvc.Keys;

/// <summary><c>signsvc.v1.Keys</c>, as far as it brings material here that was made elsewhere.</summary>
internal sealed class GrpcKeyImport(KeyImport import, KeyScheduler scheduler)
{
    public async ValueTask<V1.GetImportParametersResponse> PrepareAsync(V1.GetImportParametersRequest request, GrpcCall call)
    {
        var parameters = await import.PrepareAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken);
        return new V1.GetImportParametersResponse
        {
            WrappingPublicKey = UnsafeByteOperations.UnsafeWrap(parameters.PublicKey),
            Algorithms = { WrappedMaterial.Algorithms },
            Token = parameters.Token,
            ExpiresAt = Timestamp.FromDateTimeOffset(parameters.ExpiresAt),
        };
    }

    /// <summary>With a lead of 0 the version signs already in the answer; else it is announced there, with its time.</summary>
    public async ValueTask<V1.ImportKeyMaterialResponse> ImportAsync(V1.ImportKeyMaterialRequest request, GrpcCall call)
    {
        var material = WrappedMaterial.Parse(request.Algorithm, request.WrappedKey.ToBase64());
        var activate = !request.HasActivate || request.Activate;
        var imported = await import.ImportAsync(
            call.HttpContext.Caller(), request.Key, request.Token, material, activate, call.CancellationToken);
        var key = await scheduler.AdvanceAsync(imported, call.CancellationToken);
        return new V1.ImportKeyMaterialResponse { Version = KeyMessages.Of(key.Versions[^1]), Key = KeyMessages.Of(key) };
    }
}
