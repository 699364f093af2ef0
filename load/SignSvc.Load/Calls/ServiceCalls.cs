using System.Globalization;
using System.Security.Cryptography;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SignSvc.Grpc.V1;

namespace SignSvc.Load.Calls;

/// <summary>What callers ask of the service, as one credential.</summary>
public sealed class ServiceCalls(string bearer)
{
    private const int DigestLength = 32;

    private static readonly Struct Production = new() { Fields = { ["env"] = Value.ForString("prod") } };

    /// <summary>A digest that was not signed before, with the facts of a release.</summary>
    public Call Sign(string key)
    {
        var digest = RandomNumberGenerator.GetBytes(DigestLength);
        return new Call(
            "POST", $"/v1/keys/{key}/sign", bearer,
            $$$"""{"digest":"{{{Convert.ToBase64String(digest)}}}","context":{"artifact":{"type":"blob","name":"app.tar.gz"},"repository":"acme/app","commit":"0a1b2c3d"}}""")
        {
            Grpc = ("/signsvc.v1.Signing/Sign", new SignRequest
            {
                Key = key,
                Digest = ByteString.CopyFrom(digest),
                Context = new SigningContext { Artifact = new Artifact { Type = "blob", Name = "app.tar.gz" }, Repository = "acme/app", Commit = "0a1b2c3d" },
            }),
        };
    }

    public Call Token(string profile = "default") => new(
        "POST", "/v1/tokens", bearer,
        $$$"""{"profile":"{{{profile}}}","subject":"build-42","audience":"api://deploy","lifetimeSeconds":300,"claims":{"env":"prod"}}""")
    {
        Grpc = ("/signsvc.v1.Tokens/Issue", new IssueRequest
        {
            Profile = profile,
            Subject = "build-42",
            Audiences = { "api://deploy" },
            LifetimeSeconds = 300,
            Claims = Production,
        }),
    };

    public Call TokenBatch(int size)
    {
        var subjects = Enumerable.Range(0, size).Select(i => string.Create(CultureInfo.InvariantCulture, $"build-{i}")).ToList();
        var request = new IssueBatchRequest { Profile = "default" };
        request.Items.AddRange(subjects.Select(s => new IssueRequest { Subject = s, Audiences = { "api://deploy" } }));
        return new Call(
            "POST", "/v1/tokens/batch", bearer,
            $$"""{"profile":"default","items":[{{string.Join(',', subjects.Select(s => $$"""{"subject":"{{s}}","audience":"api://deploy"}"""))}}]}""")
        {
            Grpc = ("/signsvc.v1.Tokens/IssueBatch", request),
        };
    }

    /// <summary>What a verifier with a cache asks for, if it names the ETag that it has.</summary>
    public static Call KeySet(string? etag = null) => new("GET", "/.well-known/jwks.json", IfNoneMatch: etag)
    {
        Grpc = ("/signsvc.v1.Tokens/GetJwks", new GetJwksRequest { KnownEtag = etag ?? "" }),
    };

    public Call SearchAudit(string query) => new("GET", $"/v1/audit?{query}", bearer);

    public Call ListKeys(string query) => new("GET", $"/v1/keys?{query}", bearer);

    /// <summary>SubjectPublicKeyInfo.</summary>
    public Call PublicKey(string key) => new("GET", $"/v1/keys/{key}/public-key?format=der", bearer) { KeepsBody = true };

    public Call Rotate(string key) => new("POST", $"/v1/keys/{key}/rotate", bearer);

    public Call PutProfile(string name, string json) => new("PUT", $"/v1/profiles/{name}", bearer, json);

    public Call PutPolicy(string name, string json) => new("PUT", $"/v1/policies/{name}", bearer, json);

    public Call PutKeyPolicy(string key, string json) => new("PUT", $"/v1/keys/{key}/policy", bearer, json);

    public Call ListPolicies() => new("GET", "/v1/policies", bearer);

    public Call CreateKey(string json) => new("POST", "/v1/keys", bearer, json);

    public Call Describe(string key, string description) => new("PATCH", $"/v1/keys/{key}", bearer, $$"""{"description":"{{description}}"}""");

    public Call CreateCredential(string name, string role) =>
        new("POST", "/v1/credentials", bearer, $$"""{"name":"{{name}}","roles":["{{role}}"]}""") { KeepsBody = true };
}
