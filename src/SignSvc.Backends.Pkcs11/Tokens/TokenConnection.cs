using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// A token that was found, opened and logged in to. The login belongs to the whole process and ends with its last
/// session, so the connection holds one of its own. When anything about it fails, a new one takes its place.
/// </summary>
internal sealed class TokenConnection
{
    /// <summary>How long sessions of this token may take to be closed; those of another token are open for longer.</summary>
    private static readonly TimeSpan IdlePatience = TimeSpan.FromMilliseconds(500);

    private readonly CryptokiSession _loginSession;

    private TokenConnection(CryptokiModule module, nuint slot, CK_TOKEN_INFO info, CryptokiSession loginSession)
    {
        Module = module;
        Slot = slot;
        Info = info;
        _loginSession = loginSession;
        IsHardware = (module.GetSlotInfo(slot).flags & CKF_HW_SLOT) != 0;
        Mechanisms = [.. module.GetMechanismList(slot)];
    }

    public CryptokiModule Module { get; }

    public nuint Slot { get; }

    public CK_TOKEN_INFO Info { get; }

    public bool IsHardware { get; }

    public HashSet<CK_MECHANISM_TYPE> Mechanisms { get; }

    /// <summary>A call has succeeded on it: what fails from now on is a new fault, not the old one again.</summary>
    public bool Proven { get; set; }

    /// <summary>A token that is in no slot is looked for once more in the module initialised anew, if nobody else uses it.</summary>
    /// <param name="anew">The token shows less than it did: the module is to look again, whatever it says of the token.</param>
    /// <exception cref="CryptokiException">What the module answered.</exception>
    /// <exception cref="SigningException">No such token, several, or no PIN that it takes.</exception>
    public static TokenConnection Open(CryptokiModule module, Pkcs11TokenOptions options, PinSource pinSource, bool anew) => module.Visit(() =>
    {
        if (anew)
            module.TryInitializeAnew(IdlePatience);
        var found = TryOpen(module, options, pinSource);
        if (found is null && !anew && module.TryInitializeAnew(IdlePatience))
            found = TryOpen(module, options, pinSource);
        return found ?? throw new SigningException(SigningFault.BackendUnavailable, "The token is in no slot of the PKCS#11 module.");
    });

    public CryptokiSession OpenSession() => Module.OpenSession(Slot, IsWritable(Info));

    public void Close() => _loginSession.Close();

    private static bool IsWritable(CK_TOKEN_INFO info) => (info.flags & CKF_WRITE_PROTECTED) == 0;

    /// <returns>Null where the token is in no slot.</returns>
    private static TokenConnection? TryOpen(CryptokiModule module, Pkcs11TokenOptions options, PinSource pinSource)
    {
        module.Initialize();
        try
        {
            return TryOpenInitialized(module, options, pinSource);
        }
        catch (CryptokiException e) when (e.Rv == CKR_CRYPTOKI_NOT_INITIALIZED)
        {
            module.ForgetInitialization();
            module.Initialize();
            return TryOpenInitialized(module, options, pinSource);
        }
    }

    private static TokenConnection? TryOpenInitialized(CryptokiModule module, Pkcs11TokenOptions options, PinSource pinSource)
    {
        if (Find(module, options) is not { } found)
            return null;
        var session = module.OpenSession(found.Slot, IsWritable(found.Info));
        try
        {
            if ((found.Info.flags & CKF_LOGIN_REQUIRED) != 0)
                Login(module, session, found, pinSource);
            return new TokenConnection(module, found.Slot, found.Info, session);
        }
        catch
        {
            session.Close();
            throw;
        }
    }

    private static (nuint Slot, CK_TOKEN_INFO Info)? Find(CryptokiModule module, Pkcs11TokenOptions options)
    {
        var found = new List<(nuint, CK_TOKEN_INFO)>();
        CryptokiException? unread = null;
        foreach (var slot in module.GetSlotList())
        {
            if (TokenIn(module, slot, ref unread) is { } info
                && (info.flags & CKF_TOKEN_INITIALIZED) != 0
                && (options.Label is null || string.Equals(info.label.ToString(), options.Label, StringComparison.Ordinal))
                && (options.Serial is null || string.Equals(info.serialNumber.ToString(), options.Serial, StringComparison.Ordinal)))
            {
                found.Add((slot, info));
            }
        }

        return found switch
        {
            [var only] => only,
            [] when unread is not null => throw unread,
            [] => null,
            _ => throw new SigningException(
                SigningFault.BackendFailed, $"{found.Count} tokens answer to the same name: configure the serial number."),
        };
    }

    /// <summary>
    /// Null where the token left since the slots were listed, or cannot be read: no reason to give up the others, but
    /// what to say if it is none of them.
    /// </summary>
    private static CK_TOKEN_INFO? TokenIn(CryptokiModule module, nuint slot, ref CryptokiException? unread)
    {
        try
        {
            return module.GetTokenInfo(slot);
        }
        catch (CryptokiException e) when (e.Rv != CKR_CRYPTOKI_NOT_INITIALIZED)
        {
            if (e.Rv is not (CKR_TOKEN_NOT_PRESENT or CKR_TOKEN_NOT_RECOGNIZED or CKR_DEVICE_REMOVED))
                unread = e;
            return null;
        }
    }

    private static void Login(CryptokiModule module, CryptokiSession session, (nuint Slot, CK_TOKEN_INFO Info) found, PinSource pinSource)
    {
        var pin = pinSource.Read(found.Info.flags);
        if (pin is null && (found.Info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) == 0)
            throw new SigningException(SigningFault.BackendFailed, "The token needs a PIN and none is configured.");
        try
        {
            session.Login(pin);
        }
        catch (CryptokiException e) when (e.PinRefused)
        {
            var advice = pin is null ? "" : pinSource.Refuse(pin, e.Rv, FlagsOf(module, found.Slot));
            throw new SigningException(SigningFault.BackendFailed, e.Message + advice, e);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(pin);
        }
    }

    /// <summary>None where the token does not tell: that it refused the PIN is remembered all the same.</summary>
    private static nuint FlagsOf(CryptokiModule module, nuint slot)
    {
        try
        {
            return module.GetTokenInfo(slot).flags;
        }
        catch (CryptokiException)
        {
            return 0;
        }
    }
}
