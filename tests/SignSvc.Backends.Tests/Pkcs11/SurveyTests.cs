using SignSvc.Backends.Pkcs11;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Backends.Pkcs11.Keys;
using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>What is seen of a module before it is configured, and how its odd answers are read.</summary>
[Collection(SoftHsm.Collection)]
public sealed class SurveyTests
{
    [Fact]
    public async Task A_survey_shows_slots_mechanisms_and_whether_the_token_fits()
    {
        await SoftHsm.FolderAsync();
        using var survey = new ModuleSurvey(SoftHsm.Module, initializationParameters: null);
        Assert.StartsWith("2.", survey.Module.CryptokiVersion, StringComparison.Ordinal);
        var slot = Assert.Single(survey.Slots(), s => string.Equals(s.Label, "contract", StringComparison.Ordinal));
        Assert.True(slot is { IsInitialized: true, NeedsLogin: true, IsWritable: true, IsHardware: false });
        Assert.Contains(survey.Mechanisms(slot.Id), m => string.Equals(m.Name, "CKM_ECDSA", StringComparison.Ordinal));
        Assert.All(survey.Check(slot.Id).Where(c => c.IsRequired), c => Assert.True(c.Holds, c.What));
        Assert.Contains(survey.Check(slot.Id), c => c is { Holds: false, IsRequired: false });
    }

    [Fact]
    public async Task A_module_of_version_3_is_reached_by_its_interface()
    {
        var options = await Nss.OptionsAsync();
        using var survey = new ModuleSurvey(options.ModulePath, options.InitializationParameters);
        Assert.StartsWith("3.", survey.Module.CryptokiVersion, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_slot_that_cannot_be_read_hides_no_other()
    {
        var module = await FaultyModule.BuildAsync();
        using var survey = new ModuleSurvey(module.Path, initializationParameters: null);
        var all = survey.Slots();
        module.Fail(FaultyModule.GetTokenInfo, (ulong)CK_RV.CKR_DEVICE_ERROR, 1);
        var slots = survey.Slots();
        Assert.Equal(all.Count, slots.Count);
        Assert.Equal("C_GetTokenInfo answered CKR_DEVICE_ERROR.", slots[0].Label);
        Assert.Equal(all.Skip(1), slots.Skip(1));
    }

    [Theory]
    [InlineData(0, "ok")]
    [InlineData(0x10000, "count low")]
    [InlineData(0x20000, "final try")]
    [InlineData(0x40000, "locked")]
    public async Task A_survey_shows_what_the_token_says_of_its_PIN(ulong flags, string said)
    {
        var module = await FaultyModule.BuildAsync();
        module.ShowTokenFlags(flags);
        using var survey = new ModuleSurvey(module.Path, initializationParameters: null);
        var slot = Assert.Single(survey.Slots(), s => string.Equals(s.Label, "load", StringComparison.Ordinal));
        Assert.Equal(said, slot.Pin);
        var fits = survey.Check(slot.Id).Single(c => c.What.StartsWith("PIN", StringComparison.Ordinal)).Holds;
        Assert.Equal(said is "ok" or "count low", fits);
    }

    [Fact]
    public void A_file_that_is_no_module_is_told_without_initialising_one()
    {
        Assert.Null(ModuleSurvey.FaultOf(SoftHsm.Module));
        Assert.Contains("cannot be loaded", ModuleSurvey.FaultOf("/dev/null"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_module_that_other_code_initialised_is_refused()
    {
        var module = await FaultyModule.BuildAsync();
        module.Fail(function: 0, (ulong)CK_RV.CKR_CRYPTOKI_ALREADY_INITIALIZED, 1);
        var refused = Assert.Throws<SigningException>(() => new ModuleSurvey(module.Path, initializationParameters: null));
        Assert.Contains("C_Initialize answered CKR_CRYPTOKI_ALREADY_INITIALIZED", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ECC_NIST_P256", 65, 2)]
    [InlineData("ECC_NIST_P384", 97, 2)]
    [InlineData("ECC_NIST_P521", 133, 3)]
    public void An_EC_point_is_read_bare_and_in_an_octet_string(string specName, int length, int header)
    {
        var spec = KeySpec.Parse(specName);
        var bare = new byte[length];
        bare[0] = 0x04;
        byte[] wrapped = header == 2 ? [0x04, (byte)length, .. bare] : [0x04, 0x81, (byte)length, .. bare];
        Assert.Equal(bare, TokenPublicKey.Point(bare, spec).ToArray());
        Assert.Equal(bare, TokenPublicKey.Point(wrapped, spec).ToArray());
        Assert.True(TokenPublicKey.Point(wrapped.AsSpan(1), spec).IsEmpty);
        Assert.True(TokenPublicKey.Point([.. wrapped, 0], spec).IsEmpty);
        Assert.True(TokenPublicKey.Point([0x02, .. bare[1..]], spec).IsEmpty);
    }
}
