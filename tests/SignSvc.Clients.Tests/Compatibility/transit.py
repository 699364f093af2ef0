"""Drives the service with hvac, unmodified. The address and the token come from Vault's own variables."""
import base64
import hashlib
import os

import hvac
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

client = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"])
transit = client.secrets.transit


def b64(data):
    return base64.b64encode(data).decode()


def refused(exception, words, call, *arguments, **parameters):
    try:
        call(*arguments, **parameters)
    except exception as error:
        assert words in str(error), error
        return
    raise AssertionError(f"{exception.__name__} was expected")


assert client.is_authenticated()
assert client.sys.read_health_status(method="GET")["sealed"] is False
assert client.auth.token.lookup_self()["data"]["display_name"].startswith("credential:")

message = b"what is signed"
for type_, curve, name, hash_ in (("ecdsa-p256", "P-256", "sha2-256", hashes.SHA256()), ("ecdsa-p384", "P-384", "sha2-384", hashes.SHA384()), ("ecdsa-p521", "P-521", "sha2-512", hashes.SHA512())):
    key = f"hvac-{type_}"
    transit.create_key(key, key_type=type_)
    read = transit.read_key(key)["data"]
    assert read["type"] == type_ and read["keys"]["1"]["name"] == curve, read
    public = serialization.load_pem_public_key(read["keys"][str(read["latest_version"])]["public_key"].encode())
    digest = hashlib.new("sha" + name[-3:], message).digest()
    for wish in ({"hash_input": b64(message)}, {"hash_input": b64(digest), "prehashed": True}, {"hash_input": b64(message), "key_version": 1}):
        made = transit.sign_data(key, hash_algorithm=name, **wish)["data"]["signature"]
        public.verify(base64.b64decode(made.split(":")[2]), digest, ec.ECDSA(utils.Prehashed(hash_)))
        assert transit.verify_signed_data(key, b64(message), signature=made, hash_algorithm=name)["data"]["valid"] is True
        assert transit.verify_signed_data(key, b64(b"else"), signature=made, hash_algorithm=name)["data"]["valid"] is False
    made = transit.sign_data(key, hash_input=b64(message), hash_algorithm=name, marshaling_algorithm="jws")["data"]["signature"]
    raw = base64.urlsafe_b64decode(made.split(":")[2] + "==")
    half = len(raw) // 2
    public.verify(utils.encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")), digest, ec.ECDSA(utils.Prehashed(hash_)))
    assert transit.verify_signed_data(key, b64(message), signature=made, hash_algorithm=name, marshaling_algorithm="jws")["data"]["valid"] is True

transit.create_key("hvac-rsa", key_type="rsa-4096")
public = serialization.load_pem_public_key(transit.read_key("hvac-rsa")["data"]["keys"]["1"]["public_key"].encode())
for name, hash_ in (("sha2-256", hashes.SHA256()), ("sha2-384", hashes.SHA384()), ("sha2-512", hashes.SHA512())):
    for algorithm, scheme in (("pss", padding.PSS(padding.MGF1(hash_), hash_.digest_size)), ("pkcs1v15", padding.PKCS1v15())):
        made = transit.sign_data("hvac-rsa", hash_input=b64(message), hash_algorithm=name, signature_algorithm=algorithm)["data"]["signature"]
        public.verify(base64.b64decode(made.split(":")[2]), message, scheme, hash_)
        assert transit.verify_signed_data("hvac-rsa", b64(message), signature=made, hash_algorithm=name)["data"]["valid"] is True

assert "hvac-rsa" in transit.list_keys()["data"]["keys"]
transit.rotate_key("hvac-ecdsa-p256")
assert transit.read_key("hvac-ecdsa-p256")["data"]["latest_version"] == 2
transit.update_key_configuration("hvac-ecdsa-p256", min_decryption_version=2, deletion_allowed=True)
transit.delete_key("hvac-ecdsa-p256")

refused(hvac.exceptions.InvalidPath, "no such key", transit.sign_data, "hvac-nobody", hash_input=b64(message))
refused(hvac.exceptions.InvalidPath, "", transit.read_key, "hvac-nobody")
refused(hvac.exceptions.InvalidRequest, "digests of 32 bytes", transit.sign_data, "release", hash_input=b64(b"m"), prehashed=True)
refused(hvac.exceptions.InvalidRequest, "pending deletion", transit.sign_data, "hvac-ecdsa-p256", hash_input=b64(message))
refused(hvac.exceptions.InvalidPath, "nothing at this address", transit.encrypt_data, "release", plaintext=b64(message))
client.token = "hvs.wrong"
refused(hvac.exceptions.Forbidden, "permission denied", transit.sign_data, "release", hash_input=b64(message))
assert not client.is_authenticated()
print("done")
