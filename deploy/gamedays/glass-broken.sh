#!/usr/bin/env bash
# A credential in the wrong hands breaks the glass; the runbook ends its request and the credential.
source "$(dirname "$0")/lib.sh"
export KEY=release CREDENTIAL=mallory SINCE=1h
start_service "$work/data"
signsvc credentials create "$CREDENTIAL" --role admin --output-token mallory.token > /dev/null
signsvc credentials create approver --role admin --output-token approver.token > /dev/null
signsvc approvals rules put deletion --resource 'key/*' --action keys:ScheduleDeletion --required 1 --approver 'credential:*' > /dev/null
APPROVAL=$({ signsvc keys delete "$KEY" --yes 2>&1 || true; } | grep -oE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | head -n 1)
export APPROVAL

staged
SIGNSVC_TOKEN=$(cat mallory.token) signsvc approvals break-glass "$APPROVAL" --reason "because" > /dev/null
await "the metrics show it" 10 metric_is signsvc_approvals_glass_broken_total "" '> 0'
await "the log says it aloud" 10 grep -q "GLASS BROKEN by credential:$CREDENTIAL" service.log
detected

follow glass-broken.md Check
follow glass-broken.md Act
follow glass-broken.md Verify
! signsvc keys delete "$KEY" --yes > /dev/null 2>&1 || fail "the key is deleted without approval"
! SIGNSVC_TOKEN=$(cat mallory.token) signsvc keys list > /dev/null 2>&1 || fail "the credential is still good"
restored
