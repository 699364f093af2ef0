using System.Text.Json;
using BenchmarkDotNet.Attributes;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Storage;

namespace SignSvc.Benchmarks;

/// <summary>Deciding whether a caller may: by its role, and by one of many policies.</summary>
public class PolicyParts
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch.AddYears(56);

    private readonly Caller _byRole = new("credential:ci", [Role.Signer]);
    private readonly Caller _byPolicy = new("oidc:github:repo:acme/app:ref:refs/heads/main", []);
    private readonly SigningContext _context = new() { Repository = "acme/app", Ref = "refs/heads/main" };
    private AccessPolicy _access = null!;

    /// <summary>Service policies that the snapshot holds; the last of them allows.</summary>
    [Params(1, 100)]
    public int Policies { get; set; }

    [GlobalSetup]
    public void Prepare()
    {
        var documents = Enumerable.Range(0, Policies).Select(i => Stored($"p{i:D4}", i == Policies - 1 ? "acme" : $"team{i}"));
        _access = Snapshot.Empty.With(new StateChanges(1, [.. documents])).Access;
    }

    [Benchmark(Description = "by a role")]
    public Permit ByRole() => _access.Authorise(Ask(_byRole));

    [Benchmark(Description = "by a policy, with conditions")]
    public Permit ByPolicy() => _access.Authorise(Ask(_byPolicy));

    private AccessRequest Ask(Caller caller) => new()
    {
        Caller = caller,
        Action = Actions.KeysSign,
        At = Now,
        Resource = "key/release",
        Facts = new AccessFacts { Context = _context, Bytes = 32, Count = 1 },
    };

    private static Document Stored(string name, string organisation)
    {
        var document = JsonSerializer.Deserialize<PolicyDocument>(
            $$$"""
            {"statements":[{"sid":"main","effect":"allow","principals":["oidc:github:repo:{{{organisation}}}/app:*"],"actions":["keys:Sign"],"resources":["key/*"],
             "conditions":{"stringEquals":{"context.ref":"refs/heads/main"} } }]}
            """)!;
        var policy = new StoredPolicy { Scope = PolicyScope.Service, Name = name, Document = document, ChangedAt = Now, ChangedBy = "benchmark" };
        return new Document(DocumentKind.Policy, name, 1, JsonSerializer.SerializeToUtf8Bytes(policy, SigningJson.Default.StoredPolicy), ReadOnlyMemory<byte>.Empty);
    }
}
