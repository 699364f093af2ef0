using System.Text.Json;
using System.Text.Json.Serialization;
using SignSvc.Access.Certificates;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Limits;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Http;

/// <summary>How HTTP is spoken here: addresses, limits, and a strict reading of JSON.</summary>
public static class HttpSetup
{
    public static void AddHttp(this WebApplicationBuilder builder, Settings settings)
    {
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = settings.Limits.BodyBytes;
            kestrel.Limits.MaxConcurrentConnections = settings.Limits.Connections;
            kestrel.Limits.MaxRequestHeadersTotalSize = 16 * 1024;
            // Beyond it Kestrel refuses without a problem: long names in a URL still come through to one.
            kestrel.Limits.MaxRequestLineSize = 16 * 1024;
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
            // Before the first address: it counts for those that are named after it.
            kestrel.ConfigureHttpsDefaults(https =>
            {
                kestrel.ApplicationServices.GetRequiredService<ClientCertificates>().Configure(https);
                kestrel.ApplicationServices.GetRequiredService<ServedCertificate>().Configure(https);
            });
        });
        builder.AddListeners(settings);
        builder.Services.AddSingleton<ServedCertificate>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<ServedCertificate>());
        builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        builder.Services.ConfigureHttpJsonOptions(json => Configure(json.SerializerOptions));
        builder.Services.AddOpenApi("v1");
        builder.Services.AddSingleton<ProblemWriter>();
    }

    /// <summary>Routing leaves an encoded slash as it is; in <c>{key}</c> it stands for the slash of an alias (<c>prod%2Fapp</c>).</summary>
    public static void UseAliasesInPaths(this WebApplication app) => app.Use(next => http =>
    {
        if (http.Request.RouteValues.TryGetValue("key", out var value) && value is string key && key.Contains('%', StringComparison.Ordinal))
            http.Request.RouteValues["key"] = key.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        return next(http);
    });

    /// <summary>Unknown members, members given twice, numbers as text and deep nesting are refused rather than read somehow.</summary>
    public static void Configure(JsonSerializerOptions options)
    {
        options.TypeInfoResolverChain.Clear();
        options.TypeInfoResolverChain.Add(WireJson.Default);
        options.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        options.PropertyNameCaseInsensitive = false;
        options.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        options.AllowDuplicateProperties = false;
        options.NumberHandling = JsonNumberHandling.Strict;
        options.MaxDepth = 16;
        options.RespectNullableAnnotations = true;
        options.RespectRequiredConstructorParameters = true;
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        AddEnum<KeyPurpose>(options);
        AddEnum<KeyTier>(options);
        AddEnum<KeyState>(options);
        AddEnum<VersionState>(options);
        AddEnum<RevocationReason>(options);
        AddEnum<KeyOrigin>(options);
        AddEnum<Protection>(options);
        AddEnum<SignatureEncoding>(options);
        AddEnum<Role>(options);
        AddEnum<PolicyEffect>(options);
        AddEnum<PolicyScope>(options);
        AddEnum<LimitShare>(options);
        AddEnum<PolicyFindingKind>(options);
        AddEnum<ApprovalState>(options);
        AddEnum<CallerKind>(options);
        AddEnum<AuditOutcome>(options);
        AddEnum<BreakerState>(options);
        AddEnum<ClaimType>(options);
        options.Converters.Add(new JsonStringEnumConverter<SignSvc.Signing.SigningFault>(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false));
        WireEnums.AddTo(options);
    }
}
