using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Keys;
using SignSvc.Tests.Shared;

namespace SignSvc.Signing.Tests.Access;

/// <summary>A node under a clock that stands, with two keys, callers who may sign, and the policies of a test.</summary>
public abstract class AccessScene : IAsyncLifetime
{
    protected static readonly Caller Admin = new("credential:admin", [Role.Admin]);
    protected static readonly Caller Flooder = new("credential:flooder", [Role.Signer]);
    protected static readonly Caller Neighbour = new("credential:neighbour", [Role.Signer]);

    private readonly RootKey _root = RootKey.Generate();

    protected ManualClock Clock { get; } = new();

    private protected DomainNode Node { get; private set; } = null!;

    private protected CountingBackend Backend { get; private set; } = null!;

    private protected MemoryStore Store { get; } = new();

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Backend = new CountingBackend(_root);
        Node = await DomainNode.StartAsync("one", Store, _root, Wrap(Backend), Clock, Cancel);
        foreach (var name in (string[])["release", "nightly"])
            await Node.Keys.CreateAsync(Admin, NewKey.Parse(name, KeyPurpose.Artifacts, KeyTier.Assured, "software", "ECC_NIST_P256", algorithms: null), Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        Backend.Dispose();
        _root.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected virtual IKeyBackend Wrap(IKeyBackend backend) => backend;

    protected Task PutAsync(string name, params string[] statements) => Node.Policies.PutAsync(
        Admin, name, Document(statements), force: false, Cancel);

    protected static PolicyDocument Document(params string[] statements) =>
        JsonSerializer.Deserialize<PolicyDocument>($$"""{"statements":[{{string.Join(',', statements)}}]}""")!;

    protected Task<SigningException?> SignAsync(Caller caller, string key = "release") =>
        RefusalOfAsync(() => Node.Signer.SignAsync(caller, new SignRequest { Key = key, Payload = Payload.Digest(new byte[32]) }, Cancel));

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
