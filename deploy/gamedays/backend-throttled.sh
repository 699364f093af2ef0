#!/usr/bin/env bash
# KMS throttles: the account's quota is far below what the service believes. The budget slows down; the quota is raised.
source "$(dirname "$0")/lib.sh"
export KEY=kms-release CREDENTIAL=ci REGION=eu-central-1
start_kms
start_service "$work/data" "${kms_settings[@]}"
signsvc keys create "$KEY" --backend aws-kms > /dev/null
sign_some() {
  seq 40 | xargs -P 20 -I{} curl -s -o /dev/null -X POST "$SIGNSVC_URL/v1/keys/$KEY/sign" \
    -H "Authorization: Bearer $SIGNSVC_TOKEN" -H 'Content-Type: application/json' -d '{"message":"aGk="}'
}

staged
kms PUT 'quotas/ECC?perSecond=5' > /dev/null
shows() { sign_some; metric_is signsvc_budget_throttled_total aws-kms '> 0'; }
await "the metrics show throttling" 30 shows
detected
slow=$(metric signsvc_budget_rate ECC)
quota=$(metric signsvc_budget_quota ECC)
awk "BEGIN { exit !($slow < $quota) }" || fail "the budget does not slow down: $slow of $quota"

follow backend-throttled.md Check
grep -q signsvc_budget_rate followed.log || fail "the check shows no budget"
kms PUT 'quotas/ECC?perSecond=1000' > /dev/null
climbs() { metric_is signsvc_budget_rate ECC "> $slow"; }
await "the rate climbs again" 60 climbs
date > probe.txt
signsvc sign probe.txt --key "$KEY" --output-signature probe.sig
signsvc verify probe.txt --key "$KEY" --signature probe.sig > /dev/null || fail "it does not verify"
restored
