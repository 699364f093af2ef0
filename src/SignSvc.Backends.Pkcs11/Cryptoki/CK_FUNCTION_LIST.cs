using System.Runtime.InteropServices;

namespace SignSvc.Backends.Pkcs11.Cryptoki;

/// <summary>
/// PKCS#11 v2.40 base specification, section 3.6: the 68 functions in their order. A 3.x list (C_GetInterface) begins
/// with the same ones. Functions that are not called here stand as <see cref="nint"/> to keep the order.
/// CK_ULONG is <c>unsigned long</c>, which is <see cref="nuint"/> on every 64-bit Unix.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CK_FUNCTION_LIST
{
    public CK_VERSION version;
    public delegate* unmanaged[Cdecl]<void*, CK_RV> C_Initialize;
    public delegate* unmanaged[Cdecl]<void*, CK_RV> C_Finalize;
    public delegate* unmanaged[Cdecl]<CK_INFO*, CK_RV> C_GetInfo;
    public nint C_GetFunctionList;
    public delegate* unmanaged[Cdecl]<byte, nuint*, nuint*, CK_RV> C_GetSlotList;
    public delegate* unmanaged[Cdecl]<nuint, CK_SLOT_INFO*, CK_RV> C_GetSlotInfo;
    public delegate* unmanaged[Cdecl]<nuint, CK_TOKEN_INFO*, CK_RV> C_GetTokenInfo;
    public delegate* unmanaged[Cdecl]<nuint, nuint*, nuint*, CK_RV> C_GetMechanismList;
    public delegate* unmanaged[Cdecl]<nuint, nuint, CK_MECHANISM_INFO*, CK_RV> C_GetMechanismInfo;
    public nint C_InitToken;
    public nint C_InitPIN;
    public nint C_SetPIN;
    public delegate* unmanaged[Cdecl]<nuint, nuint, void*, void*, nuint*, CK_RV> C_OpenSession;
    public delegate* unmanaged[Cdecl]<nuint, CK_RV> C_CloseSession;
    public nint C_CloseAllSessions;
    public delegate* unmanaged[Cdecl]<nuint, CK_SESSION_INFO*, CK_RV> C_GetSessionInfo;
    public nint C_GetOperationState;
    public nint C_SetOperationState;
    public delegate* unmanaged[Cdecl]<nuint, nuint, byte*, nuint, CK_RV> C_Login;
    public nint C_Logout;
    public delegate* unmanaged[Cdecl]<nuint, CK_ATTRIBUTE*, nuint, nuint*, CK_RV> C_CreateObject;
    public nint C_CopyObject;
    public delegate* unmanaged[Cdecl]<nuint, nuint, CK_RV> C_DestroyObject;
    public nint C_GetObjectSize;
    public delegate* unmanaged[Cdecl]<nuint, nuint, CK_ATTRIBUTE*, nuint, CK_RV> C_GetAttributeValue;
    public delegate* unmanaged[Cdecl]<nuint, nuint, CK_ATTRIBUTE*, nuint, CK_RV> C_SetAttributeValue;
    public delegate* unmanaged[Cdecl]<nuint, CK_ATTRIBUTE*, nuint, CK_RV> C_FindObjectsInit;
    public delegate* unmanaged[Cdecl]<nuint, nuint*, nuint, nuint*, CK_RV> C_FindObjects;
    public delegate* unmanaged[Cdecl]<nuint, CK_RV> C_FindObjectsFinal;
    public delegate* unmanaged[Cdecl]<nuint, CK_MECHANISM*, nuint, CK_RV> C_EncryptInit;
    public delegate* unmanaged[Cdecl]<nuint, byte*, nuint, byte*, nuint*, CK_RV> C_Encrypt;
    public nint C_EncryptUpdate;
    public nint C_EncryptFinal;
    public delegate* unmanaged[Cdecl]<nuint, CK_MECHANISM*, nuint, CK_RV> C_DecryptInit;
    public delegate* unmanaged[Cdecl]<nuint, byte*, nuint, byte*, nuint*, CK_RV> C_Decrypt;
    public nint C_DecryptUpdate;
    public nint C_DecryptFinal;
    public nint C_DigestInit;
    public nint C_Digest;
    public nint C_DigestUpdate;
    public nint C_DigestKey;
    public nint C_DigestFinal;
    public delegate* unmanaged[Cdecl]<nuint, CK_MECHANISM*, nuint, CK_RV> C_SignInit;
    public delegate* unmanaged[Cdecl]<nuint, byte*, nuint, byte*, nuint*, CK_RV> C_Sign;
    public nint C_SignUpdate;
    public nint C_SignFinal;
    public nint C_SignRecoverInit;
    public nint C_SignRecover;
    public nint C_VerifyInit;
    public nint C_Verify;
    public nint C_VerifyUpdate;
    public nint C_VerifyFinal;
    public nint C_VerifyRecoverInit;
    public nint C_VerifyRecover;
    public nint C_DigestEncryptUpdate;
    public nint C_DecryptDigestUpdate;
    public nint C_SignEncryptUpdate;
    public nint C_DecryptVerifyUpdate;
    public delegate* unmanaged[Cdecl]<nuint, CK_MECHANISM*, CK_ATTRIBUTE*, nuint, nuint*, CK_RV> C_GenerateKey;
    public delegate* unmanaged[Cdecl]<nuint, CK_MECHANISM*, CK_ATTRIBUTE*, nuint, CK_ATTRIBUTE*, nuint, nuint*, nuint*, CK_RV> C_GenerateKeyPair;
    public delegate* unmanaged[Cdecl]<nuint, CK_MECHANISM*, nuint, nuint, byte*, nuint*, CK_RV> C_WrapKey;
    public delegate* unmanaged[Cdecl]<nuint, CK_MECHANISM*, nuint, byte*, nuint, CK_ATTRIBUTE*, nuint, nuint*, CK_RV> C_UnwrapKey;
    public nint C_DeriveKey;
    public nint C_SeedRandom;
    public nint C_GenerateRandom;
    public nint C_GetFunctionStatus;
    public nint C_CancelFunction;
    public nint C_WaitForSlotEvent;
}
