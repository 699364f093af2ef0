namespace SignSvc.Emulation.Tests.Recorded;

/// <summary>
/// Recorded tests, or single steps (<c>test/step</c>), that the emulator does not answer for, and why.
/// </summary>
internal static class NotCovered
{
    private const string Hmac = "HMAC keys and GenerateMac, VerifyMac are refused: SignSvc uses none.";
    private const string Agreement = "KEY_AGREEMENT keys and DeriveSharedSecret are refused: SignSvc uses none.";

    public static readonly IReadOnlyDictionary<string, string> Reasons = new Dictionary<string, string>(
        StringComparer.Ordinal)
    {
        ["test_hmac_create_key"] = Hmac,
        ["test_generate_and_verify_mac[HMAC_224-HMAC_SHA_224]"] = Hmac,
        ["test_generate_and_verify_mac[HMAC_256-HMAC_SHA_256]"] = Hmac,
        ["test_generate_and_verify_mac[HMAC_384-HMAC_SHA_384]"] = Hmac,
        ["test_generate_and_verify_mac[HMAC_512-HMAC_SHA_512]"] = Hmac,
        ["test_invalid_generate_mac[HMAC_224-HMAC_SHA_256]"] = Hmac,
        ["test_invalid_generate_mac[HMAC_256-INVALID]"] = Hmac,
        ["test_invalid_verify_mac[HMAC_256-HMAC_SHA_256-some different important message]"] = Hmac,
        ["test_invalid_verify_mac[HMAC_256-HMAC_SHA_512-some important message]"] = Hmac,
        ["test_invalid_verify_mac[HMAC_256-INVALID-some important message]"] = Hmac,
        ["test_import_key_hmac_keys[HMAC_224]"] = Hmac,
        ["test_import_key_hmac_keys[HMAC_256]"] = Hmac,
        ["test_import_key_hmac_keys[HMAC_384]"] = Hmac,
        ["test_import_key_hmac_keys[HMAC_512]"] = Hmac,
        ["test_error_messaging_for_invalid_keys/generate-mac-invalid-key-id"] = Hmac,
        ["test_error_messaging_for_invalid_keys/sign-invalid-key-id"] = Hmac,
        ["test_derive_shared_secret"] = Agreement,
        ["test_derive_shared_secret_matches_openssl"] = Agreement,
        ["test_rotate_key_on_demand_raises_error_given_key_with_imported_key_material"] =
            "Recorded before AWS KMS rotated imported material; the recordings of November 2025 contradict it, and they are followed.",
    };
}
