#!/usr/bin/env bash
# A credential and a private key are in the wrong hands: both end, a successor signs, what was signed is known.
source "$(dirname "$0")/lib.sh"
export KEY=release VERSION=2 CREDENTIAL=ci SINCE=1h
start_service "$work/data"
signsvc credentials create "$CREDENTIAL" --role signer --output-token ci.token > /dev/null
date > artifact.txt
date > former.txt
printf '{"checked":true}' > predicate.json
signsvc sign former.txt --key "$KEY" > /dev/null
signsvc keys rotate "$KEY" > /dev/null

staged
SIGNSVC_TOKEN=$(cat ci.token) signsvc sign artifact.txt --key "$KEY" --output-signature artifact.sig
SIGNSVC_TOKEN=$(cat ci.token) signsvc attest --subject "first.tar@sha256:$(printf '1%.0s' {1..64})" --subject "second.tar@sha256:$(printf '2%.0s' {1..64})" \
  --predicate predicate.json --key "$KEY" --bundle statement.json
SIGNSVC_TOKEN=$(cat ci.token) signsvc keys list > /dev/null 2>&1 && fail "a signer lists keys"
await "the metrics show a denial" 10 metric_is signsvc_decisions_total 'signsvc_outcome="denied"' '> 0'
detected

follow compromise.md Check
follow compromise.md "Act: a credential"
! SIGNSVC_TOKEN=$(cat ci.token) signsvc sign artifact.txt --key "$KEY" > /dev/null 2>&1 || fail "a revoked credential signs"
follow compromise.md "Act: a private key"
for name in artifact.txt first.tar second.tar; do
  grep -q "$name" sign-again.tsv || fail "the list of what has to be signed again lacks $name"
done
! grep -q former.txt sign-again.tsv || fail "the list of what has to be signed again has what another version signed"
follow compromise.md Verify
! signsvc verify artifact.txt --key "$KEY" --signature artifact.sig > /dev/null 2>&1 || fail "a signature of a revoked version verifies"
restored
