using System.Reflection;
using System.Text.Json;
using System.Text.RegularExpressions;
using SignSvc.Backends.AwsKms.Keys;
using SignSvc.Emulation.Faults;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.AwsKms.Tests;

/// <summary>The least-privilege policy against the calls that a backend was seen to make.</summary>
public sealed partial class PolicyTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_policy_of_the_service_names_every_call_that_it_makes_and_no_other()
    {
        await using var kms = await EmulatedKms.StartAsync();
        var wrappingKey = await kms.MakeWrappingKeyAsync();
        kms.Emulator.Calls.Reset();
        await MakeEveryCallAsync(kms, wrappingKey);

        // IAM knows ReEncrypt as two actions, one for each key.
        var made = kms.Emulator.Calls.Snapshot().Keys
            .SelectMany(call => call is "ReEncrypt" ? ["ReEncryptFrom", "ReEncryptTo"] : new[] { call })
            .Select(call => $"kms:{call}")
            .Order(StringComparer.Ordinal);
        var policy = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(Folder, "policies", "service.json"), Cancel));
        var allowed = policy.RootElement.GetProperty("Statement").EnumerateArray()
            .Select(s => s.GetProperty("Action"))
            .SelectMany(a => a.ValueKind == JsonValueKind.Array ? a.EnumerateArray().Select(e => e.GetString()!) : [a.GetString()!])
            .Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal);
        Assert.Equal(made, allowed);
    }

    [Fact]
    public async Task The_template_gives_the_same_permissions_as_the_policies()
    {
        var template = await File.ReadAllTextAsync(Path.Combine(Folder, "signsvc.yaml"), Cancel);
        foreach (var (file, resource) in new[] { ("service", "ServicePolicy"), ("administrators", "AdministratorsRole"), ("signing-only", "SecondAccountRole") })
        {
            var policy = await File.ReadAllTextAsync(Path.Combine(Folder, "policies", $"{file}.json"), Cancel);
            var from = template.IndexOf($"\n  {resource}:", StringComparison.Ordinal);
            var to = Resource().Match(template, from + resource.Length + 4).Index;
            Assert.Equal(Actions(policy), Actions(template[from..to]));
        }

        static string[] Actions(string text) => [.. Action().Matches(text).Select(m => m.Value)];
    }

    private static string Folder =>
        typeof(PolicyTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(a => a.Key is "DeployFolder").Value!;

    private static async Task MakeEveryCallAsync(EmulatedKms kms, string wrappingKey)
    {
        using var backend = kms.Open(o =>
        {
            o.WrappingKey = wrappingKey;
            o.ReplicaRegions.Add("eu-west-1");
        });
        await backend.EnsureWrappingKeyRotationAsync(Cancel);
        var request = EmulatedKms.Request(KeySpec.P256);
        var context = new WrappingContext(request.KeyId, request.Version, request.Purpose);
        var wrapped = await backend.RewrapAsync((await backend.MakeWrappedAsync(request, Cancel)).Wrapped, context, Cancel);
        await backend.UnwrapAsync(wrapped, context, Cancel);
        await backend.WrapAsync(new byte[32], context, Cancel);

        var first = ActiveVersion.Of(await backend.CreateAsync(request, Cancel));
        var second = ActiveVersion.Of(await backend.CreateAsync(request with { Version = 2 }, Cancel), number: 2);
        using var outside = System.Security.Cryptography.RSA.Create(2048);
        var third = ActiveVersion.Of(await backend.ImportAsync(EmulatedKms.Request(KeySpec.Rsa2048), outside.ExportPkcs8PrivateKey(), Cancel));
        await backend.SignAsync(first, SigningAlgorithm.ES256, new byte[32], Cancel);
        await backend.AdoptAsync(request, KmsHandle.TryParse(first.Handle, out var handle) ? handle.Arn : "", Cancel);
        await backend.Grants.RevokeAsync(first, await backend.Grants.AllowVerifyingAsync(first, "arn:aws:iam::444455556666:role/v", "v", Cancel), Cancel);

        // Another version, another type, disabled, pending deletion and back.
        foreach (var version in new[] { first, second, third })
        {
            foreach (var state in new[] { KeyState.Enabled, KeyState.Disabled, KeyState.PendingDeletion, KeyState.Enabled })
                await backend.MirrorAsync(EmulatedKms.KeyOf(version, state), mayEnable: true, Cancel);
        }

        await backend.DestroyAsync(second, Cancel);
        kms.Emulator.Faults.Add(Fault.Reset("CreateKey") with { AfterExecution = true, Times = 1 });
        await Assert.ThrowsAsync<Signing.SigningException>(() => backend.CreateAsync(request, Cancel));
        await backend.ReconcileAsync(TimeSpan.Zero, tryFinish: null, Cancel);
    }

    [GeneratedRegex("kms:(?!GrantOperations|EncryptionContext)[A-Z][A-Za-z*]+", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Action();

    [GeneratedRegex(@"\n(  [A-Z]|[A-Z]|  #)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Resource();
}
