#!/usr/bin/env bash
# The Region of a key is down: its replica signs meanwhile, and the breaker closes again when the Region is back.
source "$(dirname "$0")/lib.sh"
export KEY=kms-release REGION=eu-central-1
start_kms
start_service "$work/data" "${kms_settings[@]}" SignSvc__Backends__AwsKms__default__ReplicaRegions__0=eu-west-1
signsvc keys create "$KEY" --backend aws-kms > /dev/null
date > wanted.txt
signsvc sign wanted.txt --key "$KEY" --output-signature wanted.sig

staged
kms POST faults '{"kind":"Reset","region":"eu-central-1"}' > /dev/null
shows() {
  signsvc sign wanted.txt --key "$KEY"
  metric_is signsvc_budget_breaker_open "$REGION" '== 1'
}
await "the metrics show that the Region is down" 60 shows
detected
signsvc sign wanted.txt --key "$KEY" --output-signature meanwhile.sig || fail "the replica does not sign"
signsvc verify wanted.txt --key "$KEY" --signature meanwhile.sig > /dev/null || fail "the replica's signature does not verify"
follow region-outage.md Check
grep -q "does not answer in $REGION" followed.log || fail "the check does not show it"

kms DELETE faults > /dev/null
closes() {
  signsvc sign wanted.txt --key "$KEY"
  metric_is signsvc_budget_breaker_open "$REGION" '== 0'
}
await "the breaker closes" 60 closes
follow region-outage.md Verify
restored
