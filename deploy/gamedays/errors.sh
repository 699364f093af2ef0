#!/usr/bin/env bash
# Signatures fail, and it is not clear why: somebody took the service's permission to sign in KMS away, and then a node hangs.
# The runbook tells by the code where the trouble is, and what to do with a node that does not answer.
source "$(dirname "$0")/lib.sh"
export KEY=kms-release REGION=eu-central-1
start_kms
start_service "$work/data" "${kms_settings[@]}"
signsvc keys create "$KEY" --backend aws-kms > /dev/null
date > wanted.txt
signsvc sign wanted.txt --key "$KEY" --output-signature wanted.sig

staged
kms POST faults '{"kind":"Error","operation":"Sign","code":"AccessDeniedException","status":400}' > /dev/null
shows() {
  signsvc sign wanted.txt --key "$KEY" && return 1
  metric_is signsvc_decisions_total 'error_type="backend-failed"' '> 0'
}
await "the metrics show failing signatures" 30 shows
detected
follow errors.md Check
grep -q backend-failed followed.log || { cat followed.log >&2; fail "the check does not show the code"; }
# Where the code leads for a cloud's keys.
follow region-outage.md Check
! grep -q "does not answer in" followed.log || fail "the check takes a refusal for an outage"

kms DELETE faults > /dev/null
signsvc sign wanted.txt --key "$KEY" --output-signature again.sig || fail "it does not sign with the permission back"

kill -STOP "$service"
! curl -sf -m 2 "$SIGNSVC_URL/healthz/ready" > /dev/null || fail "a node that stands still answers"
kill_service
start_service "$work/data" "${kms_settings[@]}"
follow errors.md Verify
for signature in wanted.sig again.sig; do
  signsvc verify wanted.txt --key "$KEY" --signature "$signature" > /dev/null || fail "$signature does not verify"
done
restored
