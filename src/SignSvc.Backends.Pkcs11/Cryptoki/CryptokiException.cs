using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Cryptoki;

/// <summary>What has to be made anew before the same call can succeed.</summary>
internal enum Remedy
{
    /// <summary>Trying again changes nothing.</summary>
    None,

    /// <summary>The object handle went stale: find the object again.</summary>
    FindAgain,

    /// <summary>The session is gone or in an unknown state: open another.</summary>
    NewSession,

    /// <summary>The token is gone or logged out: find the slot again, open, log in.</summary>
    Reconnect,
}

/// <summary>A function of the module did not return CKR_OK. Stays inside this project; callers see <see cref="ToFault"/>.</summary>
internal sealed class CryptokiException(string function, CK_RV rv) : Exception($"{function} answered {NameOf(rv)}.")
{
    public CK_RV Rv => rv;

    public Remedy Remedy => rv switch
    {
        CKR_KEY_HANDLE_INVALID or CKR_OBJECT_HANDLE_INVALID or CKR_WRAPPING_KEY_HANDLE_INVALID
            or CKR_UNWRAPPING_KEY_HANDLE_INVALID => Remedy.FindAgain,

        // After DEVICE_ERROR and its kin the session may hold half an operation.
        CKR_SESSION_HANDLE_INVALID or CKR_SESSION_CLOSED or CKR_OPERATION_ACTIVE or CKR_OPERATION_NOT_INITIALIZED
            or CKR_FUNCTION_CANCELED or CKR_DEVICE_ERROR or CKR_GENERAL_ERROR or CKR_FUNCTION_FAILED => Remedy.NewSession,

        CKR_TOKEN_NOT_PRESENT or CKR_TOKEN_NOT_RECOGNIZED or CKR_DEVICE_REMOVED or CKR_SLOT_ID_INVALID
            or CKR_USER_NOT_LOGGED_IN or CKR_CRYPTOKI_NOT_INITIALIZED => Remedy.Reconnect,

        _ => Remedy.None,
    };

    /// <summary>PKCS#11's name, or the number in hex as vendors' manuals list it.</summary>
    public static string NameOf(CK_RV rv) => Enum.IsDefined(rv) ? rv.ToString() : $"0x{(ulong)rv:X8}";

    /// <summary>The PIN, not the token, is wrong: trying again only brings the token nearer to locking itself.</summary>
    public bool PinRefused => rv is CKR_PIN_INCORRECT or CKR_PIN_INVALID or CKR_PIN_LEN_RANGE or CKR_PIN_EXPIRED or CKR_PIN_LOCKED;

    /// <summary>The function does nothing at all on this token, or not to this object.</summary>
    public bool NotOffered => rv is CKR_FUNCTION_NOT_SUPPORTED or CKR_ATTRIBUTE_READ_ONLY or CKR_ACTION_PROHIBITED
        or CKR_TOKEN_WRITE_PROTECTED or CKR_FUNCTION_REJECTED;

    public SigningException ToFault(string token) =>
        new(rv switch
        {
            _ when Remedy is Remedy.NewSession or Remedy.Reconnect => SigningFault.BackendUnavailable,
            CKR_SESSION_COUNT or CKR_HOST_MEMORY => SigningFault.Overloaded,
            CKR_KEY_HANDLE_INVALID or CKR_OBJECT_HANDLE_INVALID or CKR_KEY_FUNCTION_NOT_PERMITTED
                or CKR_KEY_TYPE_INCONSISTENT or CKR_ACTION_PROHIBITED => SigningFault.KeyNotUsable,
            CKR_MECHANISM_INVALID or CKR_CURVE_NOT_SUPPORTED or CKR_KEY_SIZE_RANGE => SigningFault.Unsupported,
            _ => SigningFault.BackendFailed,
        }, $"The token {token}: {Message}", this);
}
