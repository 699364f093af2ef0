"""Shows every refusal as boto3 and hvac show it: JSON on standard output, {case: {"aws": …, "vault": …}}."""
import base64
import datetime
import json
import os
import re
import types
import urllib.request

import boto3
import botocore.auth
import botocore.compat
import botocore.credentials
import hvac
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

url = os.environ["SIGNSVC_URL"]


def aws(prefix="AWS", **more):
    return boto3.client("kms", endpoint_url=url, region_name="eu-central-1", config=Config(retries={"max_attempts": 1}), **{
        "aws_access_key_id": os.environ[f"{prefix}_ACCESS_KEY_ID"], "aws_secret_access_key": os.environ[f"{prefix}_SECRET_ACCESS_KEY"], **more})


def vault(token=None):
    return hvac.Client(url=url, token=token or os.environ["VAULT_TOKEN"]).secrets.transit


def plain(text):
    """Without what differs from run to run."""
    text = re.sub(r"arn:aws:kms:[\w-]+:\d+:(key/[0-9a-f-]{36}|alias/\w+)", "ARN", re.sub(r"\d{8}T\d{6}Z", "TIME", text))
    return re.sub(r"asked for as [\w-]+", "asked for as ID", re.sub(r"before \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "before TIME", text))


def of_aws(call, *arguments, **parameters):
    try:
        call(*arguments, **parameters)
    except ClientError as error:
        return plain(f"`{error.response['Error']['Code']}`: {error.response['Error']['Message']}")
    raise AssertionError("a refusal was expected")


def of_vault(call, *arguments, **parameters):
    try:
        call(*arguments, **parameters)
    except hvac.exceptions.VaultError as error:
        return plain(f"`{type(error).__name__}`: " + re.sub(r", on \w+ \S+$", "", str(error)))
    raise AssertionError("a refusal was expected")


def sent_again():
    """The very bytes of a signed request, twice. As at AWS it is no fault: it is decided and recorded each time."""
    body = json.dumps({"KeyId": "alias/app", "Message": b64, "SigningAlgorithm": "ECDSA_SHA_256"}).encode()
    request = AWSRequest("POST", url + "/", {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.Sign"}, body)
    credentials = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    botocore.auth.SigV4Auth(credentials, "kms", "eu-central-1").add_auth(request)
    records = set()
    for _ in range(2):
        with urllib.request.urlopen(urllib.request.Request(url + "/", body, dict(request.headers))) as answer:
            records.add(answer.headers["signsvc-audit-id"])
    assert len(records) == 2, records
    return "no fault within 5 minutes: it is decided and recorded again; then as the next row"


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
    "The version was revoked (Vault: sign with it; else: verify)": {
        "aws": of_aws(kms.verify, **revoked), "vault": of_vault(transit.sign_data, "app-revoked", hash_input=b64, key_version=1)},
    "The caller may not sign": {
        "aws": of_aws(sign(aws("AUDITOR"), "app")), "vault": of_vault(vault(os.environ["AUDITOR_TOKEN"]).sign_data, "app", hash_input=b64)},
    "Others have to approve it": {"aws": of_aws(sign(kms, "app-approved")), "vault": of_vault(transit.sign_data, "app-approved", hash_input=b64)},
    "The access key or token is unknown, revoked or expired": {
        "aws": of_aws(sign(aws(aws_access_key_id="SSVAAAAAAAAAAAAAAAAA"), "app")), "vault": of_vault(vault("hvs.unknown").sign_data, "app", hash_input=b64)},
    "The secret is wrong, or the request was altered": {"aws": of_aws(sign(aws(aws_secret_access_key="wrong"), "app")), "vault": "–"},
    "A signed request is sent again": {"aws": sent_again(), "vault": "–"},
    "The client's clock is more than 5 minutes off": {"aws": with_a_late_clock(lambda: of_aws(sign(aws(), "app"))), "vault": "–"},
    "There is a session token": {"aws": of_aws(sign(aws(aws_session_token="x"), "app")), "vault": "–"},
    "The message is too long": {"aws": of_aws(sign(kms, "app", Message=b"m" * 4097)), "vault": of_vault(transit.sign_data, "app", hash_input=base64.b64encode(b"m" * 9_000_000).decode())},
    "The operation is not served": {"aws": of_aws(kms.encrypt, KeyId="alias/app", Plaintext=b"m"), "vault": of_vault(transit.encrypt_data, "app", plaintext=b64)},
}))
