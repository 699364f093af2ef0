#!/usr/bin/env bash
# A key is disabled by accident; metrics show it, the runbook brings it back.
source "$(dirname "$0")/lib.sh"
export KEY=release
start_service "$work/data"

staged
signsvc keys disable "$KEY" > /dev/null
date > wanted.txt
! signsvc sign wanted.txt --key "$KEY" > /dev/null 2>&1 || fail "a disabled key signs"
await "the metrics show it" 10 metric_is signsvc_key_enabled "\"$KEY\"" '== 0'
await "the metrics show that it is wanted" 10 metric_is signsvc_decisions_total 'error_type="key-not-usable"' '> 0'
detected

follow key-disabled.md Check
follow key-disabled.md Act
follow key-disabled.md Verify
metric_is signsvc_key_enabled "\"$KEY\"" '== 1' || fail "the key is not enabled"
restored
