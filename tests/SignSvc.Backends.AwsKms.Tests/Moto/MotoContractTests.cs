using System.Reflection;
using Amazon.KeyManagementService;
using Amazon.Runtime;
using SignSvc.Backends.AwsKms.Keys;
using SignSvc.Signing.Backends;

namespace SignSvc.Backends.AwsKms.Tests.Moto;

/// <summary>
/// The backend contract on moto, another stand-in of AWS KMS than our own: where moto is right the backend passes, and
/// where it does not, the table says what moto gets wrong. A moto that has learnt something leaves the table.
/// </summary>
public sealed class MotoContractTests(MotoServer moto)
{
    private const string Alias = "alias/signsvc-wrapping";
    private const string HashedTwice = "Sign hashes what is a digest already, so that no signature verifies.";

    /// <summary>Promises of the contract that cannot be kept on moto, by the begin of their names.</summary>
    private static readonly Dictionary<string, string> Wrong = new(StringComparer.Ordinal)
    {
        ["A_created_key_signs_what_its_public_key_verifies"] = HashedTwice,
        ["A_created_key_signs_after_a_restart"] = HashedTwice,
        ["Signatures_made_at_once_each_belong_to_their_key_and_digest"] = HashedTwice,
        ["A_tampered_or_unknown_handle_makes_no_signature"] = HashedTwice,
        ["A_cancelled_call_ends_as_cancelled_and_harms_no_other"] = HashedTwice,
        ["A_key_that_is_there_is_adopted"] = HashedTwice,
        ["A_destroyed_key_signs_no_more_and_destroying_twice_is_no_fault"] = HashedTwice + " DisableKey ends in an internal error for ARNs, and a key that is disabled still signs.",
        ["An_imported_key_signs"] = "GetParametersForImport ends in an internal error for asymmetric keys.",
    };

    public static TheoryData<string> Promises => [.. All().Select(p => p.Name)];

    [Theory]
    [MemberData(nameof(Promises))]
    public async Task The_contract_holds_where_moto_is_right(string promise)
    {
        var (_, method, arguments) = All().Single(p => string.Equals(p.Name, promise, StringComparison.Ordinal));
        using var backend = await moto.OpenAsync(o => o.WrappingKey = Alias);
        await MakeWrappingKeyAsync();
        Exception? failure = null;
        try
        {
            if (method.Invoke(new OnMoto(backend, moto), arguments) is Task running)
                await running;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            failure = e is TargetInvocationException { InnerException: { } inner } ? inner : e;
        }

        var known = Wrong.FirstOrDefault(w => promise.StartsWith(w.Key, StringComparison.Ordinal));
        if (known.Key is null)
            Assert.True(failure is null, failure?.ToString());
        else
            Assert.True(failure is not null, $"It holds by now; take it from the table: {known.Value}");
    }

    [Fact]
    public async Task A_key_is_made_adopted_named_and_tagged()
    {
        using var backend = await moto.OpenAsync();
        using var kms = await ViewAsync();
        var cancel = TestContext.Current.CancellationToken;
        var version = ActiveVersion.Of(await backend.CreateAsync(EmulatedKms.Request(Signing.Keys.KeySpec.P384), cancel));
        Assert.True(KmsHandle.TryParse(version.Handle, out var handle));
        var adopted = await backend.AdoptAsync(EmulatedKms.Request(Signing.Keys.KeySpec.P384), handle.Arn, cancel);
        Assert.Equal(version.PublicKey.Kid, adopted.PublicKey.Kid);

        await backend.MirrorAsync(EmulatedKms.KeyOf(version, Signing.Keys.KeyState.Enabled), mayEnable: true, cancel);
        var alias = (await kms.ListAliasesAsync(new Amazon.KeyManagementService.Model.ListAliasesRequest { KeyId = handle.Id }, cancel)).Aliases;
        Assert.Equal("alias/signsvc/moto/release", Assert.Single(alias).AliasName);
        var tags = (await kms.ListResourceTagsAsync(new Amazon.KeyManagementService.Model.ListResourceTagsRequest { KeyId = handle.Id }, cancel)).Tags;
        Assert.Contains(tags, t => t is { TagKey: "signsvc:installation", TagValue: "moto" });

        // moto's DisableKey knows ids and ends in an internal error for ARNs; AWS takes both, and the backend names keys by ARN.
        await Assert.ThrowsAsync<Signing.SigningException>(
            () => backend.MirrorAsync(EmulatedKms.KeyOf(version, Signing.Keys.KeyState.Disabled), mayEnable: true, cancel));
    }

    private async Task<AmazonKeyManagementServiceClient> ViewAsync() => new(
        new BasicAWSCredentials("any", "any"),
        new AmazonKeyManagementServiceConfig { ServiceURL = (await moto.UriAsync()).ToString(), AuthenticationRegion = MotoServer.Region });

    private async Task MakeWrappingKeyAsync()
    {
        using var kms = await ViewAsync();
        if ((await kms.ListAliasesAsync(new Amazon.KeyManagementService.Model.ListAliasesRequest(), TestContext.Current.CancellationToken)).Aliases.Exists(a => a.AliasName is Alias))
            return;
        var key = await kms.CreateKeyAsync(new Amazon.KeyManagementService.Model.CreateKeyRequest(), TestContext.Current.CancellationToken);
        await kms.CreateAliasAsync(Alias, key.KeyMetadata.KeyId, TestContext.Current.CancellationToken);
    }

    private static IEnumerable<(string Name, MethodInfo Method, object?[] Arguments)> All() =>
        from method in typeof(KeyBackendContract).GetMethods(BindingFlags.Instance | BindingFlags.Public)
        where method.GetCustomAttribute<FactAttribute>() is not null
        from arguments in ArgumentsOf(method)
        select (arguments.Length == 0 ? method.Name : $"{method.Name}({string.Join(", ", arguments)})", method, arguments);

    private static IEnumerable<object?[]> ArgumentsOf(MethodInfo method)
    {
        if (method.GetParameters().Length == 0)
            return [[]];
        return method.GetCustomAttribute<MemberDataAttribute>() is { } member
            ? ((IEnumerable<ITheoryDataRow>)typeof(KeyBackendContract).GetMethod(member.MemberName)!.Invoke(obj: null, [])!).Select(r => r.GetData())
            : method.GetCustomAttributes<InlineDataAttribute>().Select(i => i.Data);
    }

    private sealed class OnMoto(AwsKmsBackend backend, MotoServer moto) : KeyBackendContract
    {
        protected override IKeyBackend Backend => backend;

        protected override IReadOnlySet<Type> Abilities { get; } =
            new HashSet<Type> { typeof(IImportsKeys), typeof(IAdoptsKeys), typeof(IDestroysKeys), typeof(IWrapsKeys) };

        protected override string UnknownReference => "alias/no-such-key";

        protected override async Task<IKeyBackend> OpenAnotherAsync() => await moto.OpenAsync(o => o.WrappingKey = Alias);

        protected override string ReferenceTo(BackendKeyPair pair) =>
            KmsHandle.TryParse(pair.Handle, out var handle) ? handle.Arn : throw new InvalidOperationException(pair.Handle);
    }
}
