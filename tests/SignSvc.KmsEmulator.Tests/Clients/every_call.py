"""Drives the emulator with boto3, unmodified, through every operation it serves.

Arguments: endpoint URL. Prints the operations called, one a line; exits with a traceback at the first surprise.
RotateKeyOnDemand and ListKeyRotations are younger than some boto3 in distributions; where boto3 does not know them they
are signed with botocore's own SigV4 and sent as they are.
"""

import hashlib
import json
import sys
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials

ENDPOINT = sys.argv[1]
ACCOUNT = "111111111111"
CREDENTIALS = dict(aws_access_key_id=ACCOUNT, aws_secret_access_key="secret")
CALLED = set()


def client(region="us-east-1", service="kms"):
    return boto3.client(
        service, region_name=region, endpoint_url=ENDPOINT,
        config=botocore.config.Config(retries={"max_attempts": 0}), **CREDENTIALS)


class Recorded:
    """Notes the API name of each call on its way through boto3."""

    def __init__(self, inner):
        self._inner = inner
        inner.meta.events.register("before-call.kms", lambda model, **_: CALLED.add(model.name))

    def __getattr__(self, name):
        return getattr(self._inner, name)


kms = Recorded(client())
replica = Recorded(client("eu-west-1"))


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except kms.exceptions.ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"{found} instead of {code}"
        return error
    raise AssertionError(f"{call} was not refused with {code}")


def younger(operation, **body):
    """Calls an operation, through boto3 where it knows it."""
    if operation in kms.meta.service_model.operation_names:
        method = {v: k for k, v in kms.meta.method_to_api_mapping.items()}[operation]
        return getattr(kms, method)(**body)
    request = botocore.awsrequest.AWSRequest(
        "POST", ENDPOINT + "/", data=json.dumps(body),
        headers={"X-Amz-Target": "TrentService." + operation, "Content-Type": "application/x-amz-json-1.1"})
    signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(ACCOUNT, "secret"), "kms", "us-east-1")
    signer.add_auth(request)
    prepared = request.prepare()
    CALLED.add(operation)
    sent = urllib.request.Request(prepared.url, prepared.body.encode(), dict(prepared.headers), method="POST")
    with urllib.request.urlopen(sent) as answer:
        return json.load(answer)


def keys():
    for spec in ("RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"):
        key = kms.create_key(
            KeySpec=spec, KeyUsage="SIGN_VERIFY", Description="first",
            Tags=[{"TagKey": "owner", "TagValue": "ci"}])["KeyMetadata"]
        assert key["KeySpec"] == spec and key["KeyState"] == "Enabled"
        for algorithm in key["SigningAlgorithms"]:
            digest = hashlib.new("sha" + algorithm[-3:], b"artifact").digest()
            made = kms.sign(KeyId=key["Arn"], Message=digest, MessageType="DIGEST", SigningAlgorithm=algorithm)
            arguments = dict(KeyId=key["Arn"], Signature=made["Signature"], SigningAlgorithm=algorithm)
            assert kms.verify(Message=b"artifact", MessageType="RAW", **arguments)["SignatureValid"]
            refused("KMSInvalidSignatureException", kms.verify, Message=b"other", MessageType="RAW", **arguments)
            refused("ValidationException", kms.sign, KeyId=key["Arn"], Message=digest[1:], MessageType="DIGEST",
                    SigningAlgorithm=algorithm)
    public = kms.get_public_key(KeyId=key["KeyId"])
    assert public["PublicKey"] and public["SigningAlgorithms"] == key["SigningAlgorithms"]
    kms.update_key_description(KeyId=key["KeyId"], Description="second")
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Description"] == "second"
    listed = [k["KeyId"] for page in kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2})
              for k in page["Keys"]]
    assert len(listed) == 6 and key["KeyId"] in listed
    kms.disable_key(KeyId=key["KeyId"])
    refused("DisabledException", kms.get_public_key, KeyId=key["KeyId"])
    kms.enable_key(KeyId=key["KeyId"])
    kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["DeletionDate"]
    kms.cancel_key_deletion(KeyId=key["KeyId"])
    assert kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key["KeyId"])
    return key


def names_and_access(key):
    kms.create_alias(AliasName="alias/release", TargetKeyId=key["KeyId"])
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    kms.update_alias(AliasName="alias/release", TargetKeyId=other["KeyId"])
    assert kms.describe_key(KeyId="alias/release")["KeyMetadata"]["KeyId"] == other["KeyId"]
    assert [a["AliasName"] for a in kms.list_aliases(KeyId=other["KeyId"])["Aliases"]] == ["alias/release"]
    kms.delete_alias(AliasName="alias/release")

    kms.tag_resource(KeyId=key["KeyId"], Tags=[{"TagKey": "version", "TagValue": "1"}])
    kms.untag_resource(KeyId=key["KeyId"], TagKeys=["owner"])
    assert kms.list_resource_tags(KeyId=key["KeyId"])["Tags"] == [{"TagKey": "version", "TagValue": "1"}]

    assert kms.list_key_policies(KeyId=key["KeyId"])["PolicyNames"] == ["default"]
    policy = kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"]
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy)
    refused("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key["KeyId"], PolicyName="default", Policy="{}")

    principal = f"arn:aws:iam::{ACCOUNT}:role/signer"
    arguments = dict(KeyId=key["KeyId"], GranteePrincipal=principal, RetiringPrincipal=principal, Operations=["Sign"])
    by_token = kms.create_grant(**arguments)
    by_id = kms.create_grant(Name="named", **arguments)
    assert kms.create_grant(Name="named", **arguments)["GrantId"] == by_id["GrantId"]
    assert len(kms.list_grants(KeyId=key["KeyId"])["Grants"]) == 2
    assert len(kms.list_retirable_grants(RetiringPrincipal=principal)["Grants"]) == 2
    kms.retire_grant(GrantToken=by_token["GrantToken"])
    kms.revoke_grant(KeyId=key["KeyId"], GrantId=by_id["GrantId"])
    assert kms.list_grants(KeyId=key["KeyId"])["Grants"] == []


def encryption():
    source = kms.create_key()["KeyMetadata"]["KeyId"]
    target = kms.create_key()["KeyMetadata"]["KeyId"]
    context = {"purpose": "wrap", "version": "1"}
    blob = kms.encrypt(KeyId=source, Plaintext=b"secret", EncryptionContext=context)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == b"secret"
    refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=blob, EncryptionContext={"purpose": "Wrap", "version": "1"})
    refused("IncorrectKeyException", kms.decrypt, CiphertextBlob=blob, EncryptionContext=context, KeyId=target)
    moved = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=target)
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"secret"

    data = kms.generate_data_key(KeyId=source, KeySpec="AES_256")
    assert kms.decrypt(CiphertextBlob=data["CiphertextBlob"])["Plaintext"] == data["Plaintext"]
    assert "Plaintext" not in kms.generate_data_key_without_plaintext(KeyId=source, NumberOfBytes=48)
    pair = kms.generate_data_key_pair(KeyId=source, KeyPairSpec="ECC_NIST_P256", EncryptionContext=context)
    opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == pair["PrivateKeyPlaintext"]
    assert "PrivateKeyPlaintext" not in kms.generate_data_key_pair_without_plaintext(KeyId=source, KeyPairSpec="ECC_NIST_P384")
    assert len(kms.generate_random(NumberOfBytes=32)["Plaintext"]) == 32

    kms.enable_key_rotation(KeyId=source)
    assert kms.get_key_rotation_status(KeyId=source)["KeyRotationEnabled"]
    kms.disable_key_rotation(KeyId=source)
    younger("RotateKeyOnDemand", KeyId=source)
    assert len(younger("ListKeyRotations", KeyId=source)["Rotations"]) == 1
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == b"secret"


def imported():
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding

    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    parameters = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    wrapping = serialization.load_der_public_key(parameters["PublicKey"])
    wrapped = wrapping.encrypt(bytes(32), padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    kms.import_key_material(
        KeyId=key, ImportToken=parameters["ImportToken"], EncryptedKeyMaterial=wrapped,
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    kms.delete_imported_key_material(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingImport"


def several_regions():
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY", MultiRegion=True)["KeyMetadata"]["KeyId"]
    kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    made = replica.sign(KeyId=key, Message=b"m", SigningAlgorithm="ECDSA_SHA_256")
    assert kms.verify(KeyId=key, Message=b"m", SigningAlgorithm="ECDSA_SHA_256", Signature=made["Signature"])["SignatureValid"]
    kms.update_primary_region(KeyId=key, PrimaryRegion="eu-west-1")
    configuration = replica.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]
    assert configuration["MultiRegionKeyType"] == "PRIMARY"


def identity():
    sts = client(service="sts")
    assert sts.get_caller_identity()["Account"] == ACCOUNT
    role = sts.assume_role(RoleArn="arn:aws:iam::222222222222:role/ci", RoleSessionName="session")["Credentials"]
    assumed = boto3.client(
        "kms", region_name="us-east-1", endpoint_url=ENDPOINT, aws_access_key_id=role["AccessKeyId"],
        aws_secret_access_key=role["SecretAccessKey"], aws_session_token=role["SessionToken"])
    assert assumed.create_key()["KeyMetadata"]["AWSAccountId"] == "222222222222"
    by_token = sts.assume_role_with_web_identity(
        RoleArn="arn:aws:iam::333333333333:role/ci", RoleSessionName="session", WebIdentityToken="e30.e30.")
    assert by_token["AssumedRoleUser"]["Arn"] == "arn:aws:sts::333333333333:assumed-role/ci/session"


key = keys()
names_and_access(key)
encryption()
imported()
several_regions()
identity()
print("\n".join(sorted(CALLED)))
