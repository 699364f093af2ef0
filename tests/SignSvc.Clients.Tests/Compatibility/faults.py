"""Shows every refusal as boto3 and hvac show it: JSON on standard output, {case: {"aws": …, "vault": …}}."""
import base64
import datetime
import json
import os
import re
import types

import boto3
import botocore.auth
import botocore.compat
import hvac
from botocore.config import Config
from botocore.exceptions import ClientError

url = os.environ["SIGNSVC_URL"]


def aws(prefix="AWS", **more):
    return boto3.client("kms", endpoint_url=url, region_name="eu-central-1", config=Config(retries={"max_attempts": 1}), **{
        "aws_access_key_id": os.environ[f"{prefix}_ACCESS_KEY_ID"], "aws_secret_access_key": os.environ[f"{prefix}_SECRET_ACCESS_KEY"], **more})


def vault(token=None):
    return hvac.Client(url=url, token=token or os.environ["VAULT_TOKEN"]).secrets.transit


def of_aws(call, *arguments, **parameters):
    try:
        call(*arguments, **parameters)
    except ClientError as error:
        text = f"`{error.response['Error']['Code']}`: {error.response['Error']['Message']}"
        return re.sub(r"arn:aws:kms:\S+?/[0-9a-f-]{36}", "ARN", re.sub(r"\d{8}T\d{6}Z", "TIME", text))
    raise AssertionError("a refusal was expected")


def of_vault(call, *arguments, **parameters):
    try:
        call(*arguments, **parameters)
    except hvac.exceptions.VaultError as error:
        return f"`{type(error).__name__}`: " + re.sub(r", on \w+ \S+$", "", str(error))
    raise AssertionError("a refusal was expected")


def with_a_late_clock(call):
    """The client's clock is ten minutes slow."""
    class Slow(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return datetime.datetime.utcnow() - datetime.timedelta(minutes=10)

    modules = [botocore.auth] + ([botocore.crt.auth] if botocore.compat.HAS_CRT else [])
    for module in modules:
        module.datetime = types.SimpleNamespace(datetime=Slow, timezone=datetime.timezone)
    try:
        return call()
    finally:
        for module in modules:
            module.datetime = datetime


def sign(client, key, **parameters):
    return lambda: client.sign(**{"KeyId": f"alias/{key}", "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256", **parameters})


b64 = base64.b64encode(b"m").decode()
kms, transit = aws(), vault()
revoked = {"KeyId": "alias/app-revoked", "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256", "Signature": base64.b64decode(os.environ["REVOKED_SIGNATURE"])}
print(json.dumps({
    "There is no such key": {"aws": of_aws(sign(kms, "nobody")), "vault": of_vault(transit.sign_data, "nobody", hash_input=b64)},
    "The key does not have the algorithm": {
        "aws": of_aws(sign(kms, "app", SigningAlgorithm="RSASSA_PSS_SHA_256")), "vault": of_vault(transit.sign_data, "app", hash_input=b64, hash_algorithm="sha2-512")},
    "The digest has another length": {
        "aws": of_aws(sign(kms, "app", MessageType="DIGEST")), "vault": of_vault(transit.sign_data, "app", hash_input=b64, prehashed=True)},
    "The key is disabled": {"aws": of_aws(sign(kms, "app-disabled")), "vault": of_vault(transit.sign_data, "app-disabled", hash_input=b64)},
    "The key is pending deletion": {"aws": of_aws(sign(kms, "app-pending")), "vault": of_vault(transit.sign_data, "app-pending", hash_input=b64)},
    "The key is for tokens": {"aws": of_aws(sign(kms, "tokens")), "vault": of_vault(transit.sign_data, "tokens", hash_input=b64)},
    "The version was revoked (AWS: verify; Vault: sign with it)": {
        "aws": of_aws(kms.verify, **revoked), "vault": of_vault(transit.sign_data, "app-revoked", hash_input=b64, key_version=1)},
    "The caller may not sign": {
        "aws": of_aws(sign(aws("AUDITOR"), "app")), "vault": of_vault(vault(os.environ["AUDITOR_TOKEN"]).sign_data, "app", hash_input=b64)},
    "The access key or token is unknown, revoked or expired": {
        "aws": of_aws(sign(aws(aws_access_key_id="SSVAAAAAAAAAAAAAAAAA"), "app")), "vault": of_vault(vault("hvs.unknown").sign_data, "app", hash_input=b64)},
    "The secret is wrong, or the request was altered": {"aws": of_aws(sign(aws(aws_secret_access_key="wrong"), "app")), "vault": "–"},
    "The client's clock is more than 5 minutes off": {"aws": with_a_late_clock(lambda: of_aws(sign(aws(), "app"))), "vault": "–"},
    "There is a session token": {"aws": of_aws(sign(aws(aws_session_token="x"), "app")), "vault": "–"},
    "The message is too long": {"aws": of_aws(sign(kms, "app", Message=b"m" * 4097)), "vault": of_vault(transit.sign_data, "app", hash_input=base64.b64encode(b"m" * 9_000_000).decode())},
    "The operation is not served": {"aws": of_aws(kms.encrypt, KeyId="alias/app", Plaintext=b"m"), "vault": of_vault(transit.encrypt_data, "app", plaintext=b64)},
}))
