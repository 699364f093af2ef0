#!/usr/bin/env bash
# A tokens key needs a successor now. (That a rotation becomes overdue takes longer than a rehearsal: the alarms on it are
# staged by tests/SignSvc.Operations.Tests/LiveAlarms.)
source "$(dirname "$0")/lib.sh"
export KEY=tokens
start_service "$work/data"

staged
metric_is signsvc_key_rotation_overdue_seconds "\"$KEY\"" '>= 0' || fail "the metrics do not know the key"
detected

follow rotation-overdue.md Check
follow rotation-overdue.md Act
follow rotation-overdue.md Verify
await "the successor is published" 60 metric_is signsvc_jwks_keys "" '== 2'
signsvc token issue --audience api://probe > token
signsvc token verify token --audience api://probe > /dev/null || fail "tokens do not verify"
restored
