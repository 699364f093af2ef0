using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SignSvc.Grpc;
using SignSvc.Grpc.Kubernetes;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Tokens;

namespace SignSvc.Kubernetes;

/// <summary><c>v1.ExternalJWTSigner</c>, which kube-apiserver calls (KEP-740). It is there on the socket alone.</summary>
internal sealed class ExternalSigner(Settings.KubernetesSettings settings, Signer signer, ServiceAccountKeys keys)
{
    public async ValueTask<SignJWTResponse> SignAsync(SignJWTRequest request, GrpcCall call)
    {
        var caller = CallerOf(call);
        var order = new ServiceAccountOrder(
            settings.Key, ServiceAccountClaims.Parse(request.Claims), TimeSpan.FromSeconds(settings.MaxTokenExpirationSeconds));
        var signed = await signer.SignServiceAccountAsync(caller, order, call.CancellationToken);
        call.Trailers.Append(Faults.AuditIdTrailer, signed.AuditId);
        return new SignJWTResponse { Header = signed.Header, Signature = signed.Signature };
    }

    /// <summary>Public keys are no secret: like the key set over HTTP they are given out without a record, and whatever the audit does.</summary>
    public ValueTask<FetchKeysResponse> FetchKeys(FetchKeysRequest request, GrpcCall call)
    {
        CallerOf(call);
        var current = keys.Current(settings);
        return ValueTask.FromResult(new FetchKeysResponse
        {
            Keys =
            {
                current.Keys.Select(k => new Key
                {
                    KeyId = k.PublicKey.Kid,
                    Key_ = ByteString.CopyFrom(k.PublicKey.Spki.Span),
                    ExcludeFromOidcDiscovery = k.IsExcluded,
                }),
            },
            DataTimestamp = Timestamp.FromDateTimeOffset(current.ChangedAt),
            RefreshHintSeconds = (long)current.RefreshAfter.TotalSeconds,
        });
    }

    public ValueTask<MetadataResponse> Metadata(MetadataRequest request, GrpcCall call)
    {
        CallerOf(call);
        return ValueTask.FromResult(new MetadataResponse { MaxTokenExpirationSeconds = settings.MaxTokenExpirationSeconds });
    }

    /// <summary>May do this one thing and nothing else.</summary>
    /// <exception cref="GrpcException">UNIMPLEMENTED on any other address: there is no such service.</exception>
    private static Caller CallerOf(GrpcCall call) =>
        call.HttpContext.Features.Get<SocketPeer>() is { } peer
            ? new Caller($"unix:{peer.Uid}", [Role.ServiceAccountSigner], TraceId: System.Diagnostics.Activity.Current?.TraceId.ToHexString())
            : throw new GrpcException(StatusCode.Unimplemented, $"There is no method {call.HttpContext.Request.Path}.");
}

public static partial class ExternalSignerRoutes
{
    /// <summary>Open to strangers as far as credentials go: the socket itself lets nobody in but those whom the kernel names.</summary>
    public static void MapExternalSigner(this WebApplication app, Settings.KubernetesSettings settings)
    {
        // Made with the first call: what signs knows the addresses served, which are not known before.
        var signer = new Lazy<ExternalSigner>(() => new ExternalSigner(
            settings, app.Services.GetRequiredService<Signer>(), app.Services.GetRequiredService<ServiceAccountKeys>()));
        app.MapGrpcService(SignSvc.Grpc.Kubernetes.ApiReflection.Descriptor.Services[0], methods => methods
            .Unary<SignJWTRequest, SignJWTResponse>("Sign", (request, call) => signer.Value.SignAsync(request, call))
            .Unary<FetchKeysRequest, FetchKeysResponse>("FetchKeys", (request, call) => signer.Value.FetchKeys(request, call))
            .Unary<MetadataRequest, MetadataResponse>("Metadata", (request, call) => signer.Value.Metadata(request, call)))
            .AllowAnonymous();
        app.Lifetime.ApplicationStarted.Register(() =>
        {
            KubernetesSocket.OpenToAllowed(settings);
            Warn(app, settings);
        });
    }

    private static void Warn(WebApplication app, Settings.KubernetesSettings settings)
    {
        var log = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(ExternalSigner).FullName!);
        var current = app.Services.GetRequiredService<SignSvc.Signing.Storage.LiveSnapshot>().Current;
        if (!current.Keys.TryGet(settings.Key, out var key))
            LogNoKey(log, settings.Key);
        else if (current.Profiles.Values.FirstOrDefault(p => string.Equals(p.KeyId, key.Id, StringComparison.Ordinal)) is { } profile)
            LogShared(log, key.Name, profile.Name);
    }

    [LoggerMessage(1301, LogLevel.Warning, "The cluster's key {Key} does not exist: service account tokens cannot be signed before it is made.")]
    private static partial void LogNoKey(ILogger log, string key);

    [LoggerMessage(1302, LogLevel.Warning, "The cluster's key {Key} also signs the token profile {Profile}. Give the cluster a key of its own: a token of that profile with the cluster's issuer would be one of its service accounts'.")]
    private static partial void LogShared(ILogger log, string key, string profile);
}
