"""Verifies access tokens with four Python libraries, as an application that trusts one issuer would.

stdin: one JSON object a line; the first is {issuer, audience, algorithms}, each further one {id, token}.
stdout: one line {verifier, id, accepted, subject?, reason?} for each verifier and token.
"""
import json
import sys
import urllib.request

import authlib.jose
import jose.jwt
import jwcrypto.jwk
import jwcrypto.jwt
import jwt


def main():
    trust, *tokens = [json.loads(line) for line in sys.stdin]
    verifiers = set_up(**trust)
    for item in tokens:
        for name, verify in verifiers.items():
            print(json.dumps({"verifier": name, "id": item["id"], **verdict(verify, item["token"])}))


def verdict(verify, token):
    try:
        return {"accepted": True, "subject": verify(token)["sub"]}
    except Exception as e:  # Whatever a library raises, it refuses.
        return {"accepted": False, "reason": f"{type(e).__name__}: {e}"}


def set_up(issuer, audience, algorithms):
    def read(url):
        with urllib.request.urlopen(url) as answer:
            return answer.read().decode()

    jwks_uri = json.loads(read(issuer + "/.well-known/openid-configuration"))["jwks_uri"]
    key_set = read(jwks_uri)

    client = jwt.PyJWKClient(jwks_uri)

    def pyjwt(token):
        key = client.get_signing_key_from_jwt(token).key
        return jwt.decode(token, key, algorithms=algorithms, issuer=issuer, audience=audience)

    keys_by_kid = {key["kid"]: key for key in json.loads(key_set)["keys"]}

    def python_jose(token):
        # It does not look at kid itself, and stops at the first key of another family: its users pick the key.
        key = keys_by_kid[jose.jwt.get_unverified_header(token)["kid"]]
        return jose.jwt.decode(token, key, algorithms=algorithms, issuer=issuer, audience=audience)

    authlib_jwt = authlib.jose.JsonWebToken(algorithms)
    authlib_keys = authlib.jose.JsonWebKey.import_key_set(json.loads(key_set))
    authlib_claims = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": audience}}

    def authlib_verify(token):
        claims = authlib_jwt.decode(token, authlib_keys, claims_options=authlib_claims)
        claims.validate()
        return claims

    jwcrypto_keys = jwcrypto.jwk.JWKSet.from_json(key_set)

    def jwcrypto_verify(token):
        read_token = jwcrypto.jwt.JWT(
            jwt=token, key=jwcrypto_keys, algs=algorithms, check_claims={"iss": issuer, "aud": audience, "exp": None})
        return json.loads(read_token.claims)

    return {"pyjwt": pyjwt, "python-jose": python_jose, "authlib": authlib_verify, "jwcrypto": jwcrypto_verify}


main()
