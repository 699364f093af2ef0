using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Keys;
using SignSvc.Tests.Shared;

namespace SignSvc.Signing.Tests.Access.Limits;

/// <summary>A node under a clock that stands, with two keys, callers who may sign, and policies that limit them.</summary>
public abstract class LimitScene : IAsyncLifetime
{
    protected static readonly Caller Admin = new("credential:admin", [Role.Admin]);
    protected static readonly Caller Flooder = new("credential:flooder", [Role.Signer]);
    protected static readonly Caller Neighbour = new("credential:neighbour", [Role.Signer]);

    private readonly RootKey _root = RootKey.Generate();

    protected ManualClock Clock { get; } = new();

    private protected AccessNode Node { get; private set; } = null!;

    private protected CountingBackend Backend { get; private set; } = null!;

    private protected MemoryStore Store { get; } = new();

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Backend = new CountingBackend(_root);
        Node = await AccessNode.StartAsync("one", Store, _root, Wrap(Backend), Clock, Cancel);
        foreach (var name in (string[])["release", "nightly"])
            await Node.Keys.CreateAsync(Admin, NewKey.Parse(name, KeyPurpose.Artifacts, KeyTier.Assured, "software", "ECC_NIST_P256", algorithms: null), Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        Backend.Dispose();
        _root.Dispose();
    }

    private protected virtual IKeyBackend Wrap(IKeyBackend backend) => backend;

    /// <param name="limits">Members of the limits, a statement for each, for whoever is none of the administrator's.</param>
    protected Task LimitAsync(params string[] limits) => PutAsync(
        "limits",
        [.. limits.Select((l, i) => $$$"""{"sid":"l{{{i}}}","effect":"limit","principals":["*"],"actions":["keys:*"],"resources":["*"],"limit":{ {{{l}}} } }""")]);

    protected Task PutAsync(string name, params string[] statements) => Node.Policies.PutAsync(
        Admin, name, JsonSerializer.Deserialize<PolicyDocument>($$"""{"statements":[{{string.Join(',', statements)}}]}""")!, force: false, Cancel);

    protected Task<SigningException?> SignAsync(Caller caller, string key = "release") =>
        RefusalOfAsync(() => Node.Signer.SignAsync(caller, new SignRequest { Key = key, Payload = Payload.Digest(new byte[32]) }, Cancel));

    /// <returns>How many of them were signed.</returns>
    protected async Task<int> SignedOfAsync(int calls, Caller caller, string key = "release")
    {
        var signed = 0;
        for (var i = 0; i < calls; i++)
            signed += await SignAsync(caller, key) is null ? 1 : 0;
        return signed;
    }

    protected static async Task<SigningException?> RefusalOfAsync(Func<Task> act)
    {
        try
        {
            await act();
            return null;
        }
        catch (SigningException e)
        {
            return e;
        }
    }
}
