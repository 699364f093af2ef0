using System.Collections.Frozen;

namespace SignSvc.Emulation.Tests.Recorded;

/// <summary>The requests of the recorded tests, rebuilt from their names, answers and published source.</summary>
internal static partial class Scenarios
{
    private const string Symmetric = "SYMMETRIC_DEFAULT";
    private const string EncryptDecrypt = "ENCRYPT_DECRYPT";
    private const string SignVerify = "SIGN_VERIFY";
    private const string TestKey = "test-key";

    private static readonly byte[] Message = "test message 123 !%$@ 1234567890"u8.ToArray();

    public static readonly FrozenDictionary<string, Func<Replay, Task>> ByName = new Func<Replay, Task>[]
    {
        test_create_key,
        test_get_key_in_different_region,
        test_get_key_does_not_exist,
        test_get_key_invalid_uuid,
        test_create_alias,
        test_describe_with_alias_arn,
        test_create_multi_region_key,
        test_non_multi_region_keys_should_not_have_multi_region_properties,
        test_hmac_create_key_invalid_operations,
        test_replicate_key,
        test_replicate_replica_key_should_fail,
        test_tag_existing_key_and_untag,
        test_create_key_with_tag_and_untag,
        test_untag_key_partially,
        test_update_and_add_tags_on_tagged_key,
        test_tag_key_with_duplicate_tag_keys_raises_error,
        test_create_key_with_too_many_tags_raises_error,
        test_tag_existing_key_with_invalid_tag_key,
        test_key_with_long_tag_value_raises_error,
        test_create_key_with_invalid_tag_key,
        test_generate_random,
        test_generate_random_invalid_number_of_bytes,
        test_sign_verify,
        test_verify_salt_length,
        test_encrypt_validate_plaintext_size_per_key_type,
        test_plaintext_size_for_encrypt,
        test_encrypt_decrypt_encryption_context,
        test_error_messaging_for_invalid_keys,
        test_re_encrypt,
        test_re_encrypt_incorrect_source_key,
        test_generate_data_key,
        test_generate_data_key_without_plaintext,
        test_generate_data_key_pair,
        test_generate_data_key_pair_without_plaintext,
        test_encryption_context_generate_data_key,
        test_encryption_context_generate_data_key_without_plaintext,
        test_encryption_context_generate_data_key_pair,
        test_encryption_context_generate_data_key_pair_without_plaintext,
        test_generate_data_key_pair_dry_run,
        test_generate_data_key_pair_without_plaintext_dry_run,
        test_key_enable_rotation_status,
        test_rotate_key_on_demand_modifies_key_material,
        test_rotate_key_on_demand_with_symmetric_key_and_automatic_rotation_disabled,
        test_rotate_key_on_demand_with_symmetric_key_and_automatic_rotation_enabled,
        test_rotate_key_on_demand_raises_error_given_key_is_disabled,
        test_rotate_key_on_demand_raises_error_given_key_that_does_not_exist,
        test_rotate_key_on_demand_raises_error_given_non_symmetric_key,
        test_key_rotations_encryption_decryption,
        test_key_rotations_limits,
        test_rotate_on_demand_returns_arn_for_key_id,
        test_key_rotation_updates_current_key_material_id_for_aws_symmetric_keys,
        test_rotate_key_on_demand_on_external_key_with_no_key_material,
        test_rotate_key_on_demand_updates_current_key_material_for_external_keys,
        test_rotate_key_on_demand_for_external_keys_decrypts_with_previous_material,
        test_rotate_key_on_demand_raises_for_no_pending_key_material,
        test_import_key_material_raises_if_there_is_already_key_material_pending,
        test_get_parameters_for_import,
        test_get_parameters_for_import_raises_for_non_external_kms_keys,
        test_import_key_symmetric,
        test_import_key_asymmetric,
        test_import_key_ecc_keys,
        test_import_key_rsa_aes_wrap_sha256,
    }.ToFrozenDictionary(s => s.Method.Name, StringComparer.Ordinal);

    private static Task<Reply> CreateKey(
        Replay replay,
        string? spec = null,
        string? usage = null,
        string? description = null,
        string? origin = null) =>
        replay.Kms.DoAsync(
            "CreateKey",
            new
            {
                KeySpec = spec,
                KeyUsage = usage,
                Description = description,
                Origin = origin,
            });

    private static async Task<string> NewKeyId(Replay replay, string? spec = null, string? usage = null) =>
        (await CreateKey(replay, spec, usage)).KeyId;
}
