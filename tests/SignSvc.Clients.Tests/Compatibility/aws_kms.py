"""Drives the service with boto3, unmodified: every operation that is served, each answer checked. Prints what it called.

The endpoint, region and access key come from AWS's own variables.
"""
import hashlib
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

kms = boto3.client("kms", endpoint_url=os.environ["SIGNSVC_URL"], config=Config(retries={"max_attempts": 1}))
called = set()
kms.meta.events.register("before-call.kms.*", lambda model, **_: called.add(model.name))

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
SPECS = {
    "ECC_NIST_P256": ["ECDSA_SHA_256"],
    "ECC_NIST_P384": ["ECDSA_SHA_384"],
    "ECC_NIST_P521": ["ECDSA_SHA_512"],
    "RSA_2048": [f"RSASSA_{p}_SHA_{h}" for p in ("PKCS1_V1_5", "PSS") for h in ("256", "384", "512")],
    "RSA_3072": [f"RSASSA_{p}_SHA_{h}" for p in ("PKCS1_V1_5", "PSS") for h in ("256", "384", "512")],
}


def refused(code, call, **parameters):
    try:
        call(**parameters)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["Error"]["Message"], error
        assert error.response["ResponseMetadata"]["RequestId"], error
        return error
    raise AssertionError(f"{code} was expected")


def verify_locally(public_key, algorithm, digest, signature):
    hash_ = HASHES[algorithm[-3:]]
    if algorithm.startswith("ECDSA"):
        public_key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hash_)))
        return
    scheme = padding.PSS(padding.MGF1(hash_), hash_.digest_size) if "PSS" in algorithm else padding.PKCS1v15()
    public_key.verify(signature, digest, scheme, utils.Prehashed(hash_))


def sign_with_every_algorithm(spec, algorithms):
    key = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    assert key["SigningAlgorithms"] == algorithms, key
    public = kms.get_public_key(KeyId=key["Arn"])
    assert public["SigningAlgorithms"] == algorithms
    spki = serialization.load_der_public_key(public["PublicKey"])
    message = b"what is signed"
    for algorithm in algorithms:
        digest = hashlib.new("sha" + algorithm[-3:], message).digest()
        for payload in ({"Message": message}, {"Message": message, "MessageType": "RAW"}, {"Message": digest, "MessageType": "DIGEST"}):
            made = kms.sign(KeyId=key["KeyId"], SigningAlgorithm=algorithm, **payload)
            assert made["KeyId"] == key["Arn"] and made["SigningAlgorithm"] == algorithm
            verify_locally(spki, algorithm, digest, made["Signature"])
            assert kms.verify(KeyId=key["KeyId"], SigningAlgorithm=algorithm, Signature=made["Signature"], **payload)["SignatureValid"]
        try:
            verify_locally(spki, algorithm, digest, made["Signature"][:-1] + bytes([made["Signature"][-1] ^ 1]))
            raise AssertionError("an altered signature verified")
        except InvalidSignature:
            pass
        refused("KMSInvalidSignatureException", kms.verify, KeyId=key["KeyId"], SigningAlgorithm=algorithm, Message=b"else", Signature=made["Signature"])
    return key


for spec, algorithms in SPECS.items():
    key = sign_with_every_algorithm(spec, algorithms)

# Names: id, ARN, alias, ARN of the alias.
key_id = key["KeyId"]
kms.create_alias(AliasName="alias/boto/app", TargetKeyId=key_id)
alias_arn = key["Arn"].rsplit(":", 1)[0] + ":alias/boto/app"
for name in (key_id, key["Arn"], "alias/boto/app", alias_arn):
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyId"] == key_id
refused("AlreadyExistsException", kms.create_alias, AliasName="alias/boto/app", TargetKeyId=key_id)
refused("NotFoundException", kms.describe_key, KeyId="alias/boto/nothing")
refused("NotFoundException", kms.describe_key, KeyId="boto")
refused("NotFoundException", kms.describe_key, KeyId=key["Arn"].replace("eu-central-1", "us-east-1"))
refused("NotFoundException", kms.disable_key, KeyId="alias/boto/app")
other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY", Description="the other", Tags=[{"TagKey": "team", "TagValue": "blue"}])["KeyMetadata"]
assert other["Description"] == "the other"
kms.update_alias(AliasName="alias/boto/app", TargetKeyId=other["KeyId"])
assert [a["AliasName"] for a in kms.list_aliases(KeyId=other["KeyId"])["Aliases"]][0] == "alias/boto/app"
refused("NotFoundException", kms.update_alias, AliasName="alias/boto/nothing", TargetKeyId=key_id)
kms.delete_alias(AliasName="alias/boto/app")
refused("NotFoundException", kms.describe_key, KeyId="alias/boto/app")

# Lists come in pages.
assert {key_id, other["KeyId"]} <= {k["KeyId"] for page in kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}) for k in page["Keys"]}
assert "alias/release" in {a["AliasName"] for page in kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 2}) for a in page["Aliases"]}

# Tags and description.
kms.tag_resource(KeyId=other["KeyId"], Tags=[{"TagKey": "cost", "TagValue": "7"}])
assert kms.list_resource_tags(KeyId=other["KeyId"])["Tags"] == [{"TagKey": "cost", "TagValue": "7"}, {"TagKey": "team", "TagValue": "blue"}]
kms.untag_resource(KeyId=other["KeyId"], TagKeys=["cost"])
assert kms.list_resource_tags(KeyId=other["KeyId"])["Tags"] == [{"TagKey": "team", "TagValue": "blue"}]
refused("TagException", kms.tag_resource, KeyId=other["KeyId"], Tags=[{"TagKey": "aws:x", "TagValue": ""}])
kms.update_key_description(KeyId=other["KeyId"], Description="another word")
assert kms.describe_key(KeyId=other["KeyId"])["KeyMetadata"]["Description"] == "another word"
assert kms.get_key_rotation_status(KeyId=other["KeyId"])["KeyRotationEnabled"] is False

# States.
sign = {"KeyId": other["KeyId"], "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
kms.disable_key(KeyId=other["KeyId"])
refused("DisabledException", kms.sign, **sign)
assert kms.describe_key(KeyId=other["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"
kms.enable_key(KeyId=other["KeyId"])
kms.sign(**sign)
planned = kms.schedule_key_deletion(KeyId=other["KeyId"], PendingWindowInDays=7)
assert planned["KeyState"] == "PendingDeletion" and planned["DeletionDate"]
refused("KMSInvalidStateException", kms.sign, **sign)
refused("KMSInvalidStateException", kms.enable_key, KeyId=other["KeyId"])
kms.cancel_key_deletion(KeyId=other["KeyId"])
assert kms.describe_key(KeyId=other["KeyId"])["KeyMetadata"]["KeyState"] == "Disabled"

# What SignSvc does not do.
refused("InvalidKeyUsageException", kms.sign, KeyId="alias/release", Message=b"m", SigningAlgorithm="RSASSA_PSS_SHA_256")
refused("InvalidKeyUsageException", kms.sign, KeyId="alias/tokens", Message=b"m", SigningAlgorithm="ECDSA_SHA_256")
refused("ValidationException", kms.sign, KeyId="alias/release", Message=b"m", MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
refused("ValidationException", kms.sign, KeyId="alias/release", Message=b"m" * 4097, SigningAlgorithm="ECDSA_SHA_256")
refused("InvalidGrantTokenException", kms.sign, KeyId="alias/release", Message=b"m", SigningAlgorithm="ECDSA_SHA_256", GrantTokens=["g"])
refused("UnsupportedOperationException", kms.create_key)
refused("UnsupportedOperationException", kms.create_key, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
refused("UnsupportedOperationException", kms.create_key, KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY", MultiRegion=True)
called.discard("Encrypt")
served = sorted(called)
refused("UnknownOperationException", kms.encrypt, KeyId="alias/release", Plaintext=b"m")
print("\n".join(served))
