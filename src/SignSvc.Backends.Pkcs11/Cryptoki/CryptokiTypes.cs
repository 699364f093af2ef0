using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace SignSvc.Backends.Pkcs11.Cryptoki;

// PKCS#11 v2.40 base specification, section 3. Natural alignment, as every Unix module has it; Windows modules pack to
// one byte and have a CK_ULONG of four, and are refused when a module is loaded.

[StructLayout(LayoutKind.Sequential)]
internal struct CK_VERSION
{
    public byte major;
    public byte minor;

    public override readonly string ToString() => $"{major}.{minor}";
}

[StructLayout(LayoutKind.Sequential)]
internal struct CK_INFO
{
    public CK_VERSION cryptokiVersion;
    public Text32 manufacturerID;
    public nuint flags;
    public Text32 libraryDescription;
    public CK_VERSION libraryVersion;
}

[StructLayout(LayoutKind.Sequential)]
internal struct CK_SLOT_INFO
{
    public Text64 slotDescription;
    public Text32 manufacturerID;
    public nuint flags;
    public CK_VERSION hardwareVersion;
    public CK_VERSION firmwareVersion;
}

[StructLayout(LayoutKind.Sequential)]
internal struct CK_TOKEN_INFO
{
    public Text32 label;
    public Text32 manufacturerID;
    public Text16 model;
    public Text16 serialNumber;
    public nuint flags;
    public nuint ulMaxSessionCount;
    public nuint ulSessionCount;
    public nuint ulMaxRwSessionCount;
    public nuint ulRwSessionCount;
    public nuint ulMaxPinLen;
    public nuint ulMinPinLen;
    public nuint ulTotalPublicMemory;
    public nuint ulFreePublicMemory;
    public nuint ulTotalPrivateMemory;
    public nuint ulFreePrivateMemory;
    public CK_VERSION hardwareVersion;
    public CK_VERSION firmwareVersion;
    public Text16 utcTime;
}

[StructLayout(LayoutKind.Sequential)]
internal struct CK_SESSION_INFO
{
    public nuint slotID;
    public nuint state;
    public nuint flags;
    public nuint ulDeviceError;
}

[StructLayout(LayoutKind.Sequential)]
internal struct CK_MECHANISM_INFO
{
    public nuint ulMinKeySize;
    public nuint ulMaxKeySize;
    public nuint flags;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CK_MECHANISM
{
    public CK_MECHANISM_TYPE mechanism;
    public void* pParameter;
    public nuint ulParameterLen;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CK_ATTRIBUTE
{
    public CK_ATTRIBUTE_TYPE type;
    public void* pValue;
    public nuint ulValueLen;
}

[StructLayout(LayoutKind.Sequential)]
internal struct CK_RSA_PKCS_PSS_PARAMS
{
    public CK_MECHANISM_TYPE hashAlg;
    public nuint mgf;
    public nuint sLen;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CK_GCM_PARAMS
{
    public byte* pIv;
    public nuint ulIvLen;
    public nuint ulIvBits;
    public byte* pAAD;
    public nuint ulAADLen;
    public nuint ulTagBits;
}

/// <summary>
/// The four mutex callbacks stay null: with CKF_OS_LOCKING_OK the module uses the system's own locks. The last member
/// is not in the standard: NSS puts its parameters where pReserved is and expects a null behind them.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CK_C_INITIALIZE_ARGS
{
    public nint CreateMutex;
    public nint DestroyMutex;
    public nint LockMutex;
    public nint UnlockMutex;
    public nuint flags;
    public byte* pReserved;
    public nint nssReserved;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CK_INTERFACE
{
    public byte* pInterfaceName;
    public CK_FUNCTION_LIST* pFunctionList;
    public nuint flags;
}

/// <summary>Space-padded text, not terminated; shown trimmed.</summary>
[InlineArray(16)]
internal struct Text16
{
    private byte _first;

    public override readonly string ToString() => PaddedText.Read(this);
}

/// <inheritdoc cref="Text16"/>
[InlineArray(32)]
internal struct Text32
{
    private byte _first;

    public override readonly string ToString() => PaddedText.Read(this);
}

/// <inheritdoc cref="Text16"/>
[InlineArray(64)]
internal struct Text64
{
    private byte _first;

    public override readonly string ToString() => PaddedText.Read(this);
}

internal static class PaddedText
{
    /// <summary>Some modules pad with zeros instead of spaces.</summary>
    public static string Read(ReadOnlySpan<byte> padded) =>
        System.Text.Encoding.UTF8.GetString(padded).TrimEnd(' ', '\0');
}

internal static class CKF
{
    public const nuint CKF_LIBRARY_CANT_CREATE_OS_THREADS = 1;
    public const nuint CKF_OS_LOCKING_OK = 2;

    public const nuint CKF_RW_SESSION = 2;
    public const nuint CKF_SERIAL_SESSION = 4;

    public const nuint CKF_HW_SLOT = 4;

    public const nuint CKF_WRITE_PROTECTED = 2;
    public const nuint CKF_LOGIN_REQUIRED = 4;
    public const nuint CKF_USER_PIN_INITIALIZED = 8;
    public const nuint CKF_PROTECTED_AUTHENTICATION_PATH = 0x100;
    public const nuint CKF_TOKEN_INITIALIZED = 0x400;
    public const nuint CKF_USER_PIN_COUNT_LOW = 0x10000;
    public const nuint CKF_USER_PIN_FINAL_TRY = 0x20000;
    public const nuint CKF_USER_PIN_LOCKED = 0x40000;
}

internal static class CK
{
    public const nuint CKU_USER = 1;

    public const nuint CKS_RO_USER_FUNCTIONS = 1;
    public const nuint CKS_RW_USER_FUNCTIONS = 3;

    public const nuint CKO_CERTIFICATE = 1;
    public const nuint CKO_PUBLIC_KEY = 2;
    public const nuint CKO_PRIVATE_KEY = 3;
    public const nuint CKO_SECRET_KEY = 4;

    public const nuint CKK_RSA = 0;
    public const nuint CKK_EC = 3;
    public const nuint CKK_GENERIC_SECRET = 0x10;
    public const nuint CKK_AES = 0x1F;

    public const nuint CKG_MGF1_SHA256 = 2;
    public const nuint CKG_MGF1_SHA384 = 3;
    public const nuint CKG_MGF1_SHA512 = 4;

    /// <summary>(CK_ULONG)-1: an attribute's length where its value cannot be had.</summary>
    public static readonly nuint CK_UNAVAILABLE_INFORMATION = nuint.MaxValue;
}

/// <summary>Attribute types.</summary>
internal enum CK_ATTRIBUTE_TYPE : ulong
{
    CKA_CLASS = 0x0,
    CKA_TOKEN = 0x1,
    CKA_PRIVATE = 0x2,
    CKA_LABEL = 0x3,
    CKA_VALUE = 0x11,
    CKA_KEY_TYPE = 0x100,
    CKA_ID = 0x102,
    CKA_SENSITIVE = 0x103,
    CKA_ENCRYPT = 0x104,
    CKA_DECRYPT = 0x105,
    CKA_WRAP = 0x106,
    CKA_UNWRAP = 0x107,
    CKA_SIGN = 0x108,
    CKA_SIGN_RECOVER = 0x109,
    CKA_VERIFY = 0x10A,
    CKA_DERIVE = 0x10C,
    CKA_MODULUS = 0x120,
    CKA_MODULUS_BITS = 0x121,
    CKA_PUBLIC_EXPONENT = 0x122,
    CKA_PUBLIC_KEY_INFO = 0x129,
    CKA_VALUE_LEN = 0x161,
    CKA_EXTRACTABLE = 0x162,
    CKA_LOCAL = 0x163,
    CKA_NEVER_EXTRACTABLE = 0x164,
    CKA_ALWAYS_SENSITIVE = 0x165,
    CKA_EC_PARAMS = 0x180,
    CKA_EC_POINT = 0x181,
    CKA_ALWAYS_AUTHENTICATE = 0x202,

    /// <summary>NSS only: the public value beside an unwrapped EC private key, without which its database refuses it.</summary>
    CKA_NSS_DB = 0xD5A0DB00,
}

/// <summary>Mechanisms. The known ones print their name; others print as numbers.</summary>
internal enum CK_MECHANISM_TYPE : ulong
{
    CKM_RSA_PKCS_KEY_PAIR_GEN = 0x0,
    CKM_RSA_PKCS = 0x1,
    CKM_RSA_PKCS_PSS = 0xD,
    CKM_SHA256 = 0x250,
    CKM_SHA384 = 0x260,
    CKM_SHA512 = 0x270,
    CKM_EC_KEY_PAIR_GEN = 0x1040,
    CKM_ECDSA = 0x1041,
    CKM_AES_KEY_GEN = 0x1080,
    CKM_AES_CBC_PAD = 0x1085,
    CKM_AES_GCM = 0x1087,
    CKM_AES_KEY_WRAP = 0x2109,
    CKM_AES_KEY_WRAP_PAD = 0x210A,
    CKM_AES_KEY_WRAP_KWP = 0x210B,
}
