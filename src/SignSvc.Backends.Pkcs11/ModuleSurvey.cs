using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Pkcs11;

/// <summary>
/// What a module offers, seen without logging in: for an operator who is about to configure it. Calls block on the
/// module for as long as it takes.
/// </summary>
public sealed class ModuleSurvey : IDisposable
{
    private readonly CryptokiModule _module;

    /// <exception cref="SigningException">The library cannot be loaded, is no PKCS#11 module, or does not initialise.</exception>
    public ModuleSurvey(string modulePath, string? initializationParameters)
    {
        _module = CryptokiModule.Load(modulePath, initializationParameters);
        try
        {
            Ask(() =>
            {
                _module.Initialize();
                return true;
            });
        }
        catch
        {
            _module.Release(finalize: false);
            throw;
        }
    }

    /// <summary>Why the library is no PKCS#11 module that can be loaded; null: it is one. Nothing of it is initialised.</summary>
    public static string? FaultOf(string modulePath)
    {
        try
        {
            CryptokiModule.Probe(modulePath);
            return null;
        }
        catch (Exception e) when (e is SigningException or CryptokiException or IOException)
        {
            return e.Message;
        }
    }

    public Pkcs11ModuleInfo Module => Ask(() =>
    {
        var info = _module.GetInfo();
        return new Pkcs11ModuleInfo(
            info.manufacturerID.ToString(), info.libraryDescription.ToString(), info.libraryVersion.ToString(), _module.Version.ToString());
    });

    /// <summary>A slot whose token cannot be read is among them, not initialised and with the reason in place of its label.</summary>
    public IReadOnlyList<Pkcs11Slot> Slots() => Ask(() => _module.GetSlotList().Select(SlotOf).ToList());

    /// <summary>PKCS#11's names for the mechanisms used here, hexadecimal numbers for the others.</summary>
    public IReadOnlyList<Pkcs11Mechanism> Mechanisms(ulong slotId) => Ask(() => _module.GetMechanismList((nuint)slotId).Select(mechanism =>
    {
        var info = _module.GetMechanismInfo((nuint)slotId, mechanism);
        return new Pkcs11Mechanism(
            Enum.IsDefined(mechanism) ? mechanism.ToString() : $"0x{(ulong)mechanism:X8}", info.ulMinKeySize, info.ulMaxKeySize);
    }).ToList());

    /// <summary>What SignSvc wants of a token, and whether this one has it.</summary>
    public IReadOnlyList<Pkcs11Check> Check(ulong slotId) => Ask(() =>
    {
        var slot = (nuint)slotId;
        var mechanisms = _module.GetMechanismList(slot).ToHashSet();
        var token = _module.GetTokenInfo(slot);
        bool Has(params CK_MECHANISM_TYPE[] any) => any.Any(mechanisms.Contains);
        var checks = new List<Pkcs11Check>
        {
            new("token is initialised", (token.flags & CKF_TOKEN_INITIALIZED) != 0, IsRequired: true),
            new("PIN is not locked or about to be", (token.flags & (CKF_USER_PIN_LOCKED | CKF_USER_PIN_FINAL_TRY)) == 0, IsRequired: true),
            new("slot is hardware (else keys say software)", (_module.GetSlotInfo(slot).flags & CKF_HW_SLOT) != 0, IsRequired: false),
            new("makes RSA keys", Has(CKM_RSA_PKCS_KEY_PAIR_GEN), IsRequired: false),
            new("makes EC keys", Has(CKM_EC_KEY_PAIR_GEN), IsRequired: false),
            new("imports keys", Has(CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_AES_CBC_PAD), IsRequired: false),
            new("wraps volume keys", Has(CKM_AES_GCM, CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_AES_KEY_WRAP), IsRequired: false),
        };
        checks.AddRange(SigningAlgorithm.All.Select(algorithm =>
            new Pkcs11Check($"signs {algorithm}", Has(SigningMechanism.For(algorithm)), IsRequired: false)));
        checks.Add(new("signs with something", Has(CKM_ECDSA, CKM_RSA_PKCS, CKM_RSA_PKCS_PSS), IsRequired: true));
        return checks;
    });

    public void Dispose() => _module.Release(finalize: true);

    private Pkcs11Slot SlotOf(nuint slot)
    {
        try
        {
            var info = _module.GetSlotInfo(slot);
            var token = _module.GetTokenInfo(slot);
            return new Pkcs11Slot(
                slot, info.slotDescription.ToString(), token.label.ToString(), token.serialNumber.ToString(),
                token.model.ToString(), token.manufacturerID.ToString(),
                IsHardware: (info.flags & CKF_HW_SLOT) != 0,
                IsInitialized: (token.flags & CKF_TOKEN_INITIALIZED) != 0,
                NeedsLogin: (token.flags & CKF_LOGIN_REQUIRED) != 0,
                IsWritable: (token.flags & CKF_WRITE_PROTECTED) == 0,
                Pin: PinState(token.flags));
        }
        catch (CryptokiException e)
        {
            return new Pkcs11Slot(slot, "", e.Message, "", "", "", IsHardware: false, IsInitialized: false, NeedsLogin: false, IsWritable: false, Pin: "");
        }
    }

    private static string PinState(nuint flags) =>
        (flags & CKF_USER_PIN_LOCKED) != 0 ? "locked"
        : (flags & CKF_USER_PIN_FINAL_TRY) != 0 ? "final try"
        : (flags & CKF_USER_PIN_COUNT_LOW) != 0 ? "count low"
        : (flags & CKF_USER_PIN_INITIALIZED) == 0 ? "none set"
        : "ok";

    private static T Ask<T>(Func<T> question)
    {
        try
        {
            return question();
        }
        catch (CryptokiException e)
        {
            throw new SigningException(SigningFault.BackendFailed, $"The PKCS#11 module: {e.Message}", e);
        }
    }
}

/// <param name="CryptokiVersion">Of the function list in use: 2.x, or 3.x where the module has C_GetInterface.</param>
public sealed record Pkcs11ModuleInfo(string Manufacturer, string Description, string LibraryVersion, string CryptokiVersion);

/// <param name="Pin">What the token's flags say of the user's PIN: <c>ok</c>, <c>none set</c>, <c>count low</c> (a wrong one was sent), <c>final try</c> or <c>locked</c>.</param>
public sealed record Pkcs11Slot(
    ulong Id, string Description, string Label, string Serial, string Model, string Manufacturer,
    bool IsHardware, bool IsInitialized, bool NeedsLogin, bool IsWritable, string Pin);

/// <param name="LeastKeySize">In the mechanism's own unit, bits or bytes.</param>
public sealed record Pkcs11Mechanism(string Name, ulong LeastKeySize, ulong MostKeySize);

/// <param name="IsRequired">Without it the token is of no use here; else something is missing that may not be needed.</param>
public sealed record Pkcs11Check(string What, bool Holds, bool IsRequired);
