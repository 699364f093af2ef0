#!/usr/bin/env bash
# A deletion is scheduled by accident; the runbook takes it back and protects the key.
source "$(dirname "$0")/lib.sh"
export KEY=release
start_service "$work/data"

staged
signsvc keys delete "$KEY" --yes > /dev/null
await "the metrics show it" 10 metric_is signsvc_key_deletion_remaining_seconds "\"$KEY\"" '> 0'
detected

follow deletion-scheduled.md Check
follow deletion-scheduled.md Act
follow deletion-scheduled.md Verify
! metric signsvc_key_deletion_remaining_seconds "\"$KEY\"" > /dev/null || fail "it is still to be deleted"
! signsvc keys delete "$KEY" --yes > /dev/null 2>&1 || fail "the key is not protected"
restored
