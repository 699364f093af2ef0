#!/usr/bin/env bash
# The token of a PKCS#11 module vanishes (SoftHSM's folder is moved away) and comes back; SoftHSM needs a restart to see it.
source "$(dirname "$0")/lib.sh"
export KEY=hsm-release TOKEN=signsvc PIN_FILE=$work/pin SOFTHSM2_CONF=$work/softhsm2.conf
MODULE=$(ls /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so 2> /dev/null | head -n 1) || true
[[ -n $MODULE ]] || fail "SoftHSM is missing: apt-get install -y softhsm2"
export MODULE
mkdir tokens
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$work/tokens" > softhsm2.conf
echo 123456 > pin
softhsm2-util --init-token --free --label "$TOKEN" --pin 123456 --so-pin 87654321 > /dev/null
hsm=(SignSvc__Backends__Pkcs11__ModulePath="$MODULE" SignSvc__Backends__Pkcs11__Tokens__0__Label="$TOKEN" SignSvc__Backends__Pkcs11__Tokens__0__PinFile="$PIN_FILE")
start_service "$work/data" "${hsm[@]}"
signsvc keys create "$KEY" --backend pkcs11 > /dev/null
date > wanted.txt
signsvc sign wanted.txt --key "$KEY" --output-signature wanted.sig

staged
mv tokens away && mkdir tokens
shows() {
  signsvc sign wanted.txt --key "$KEY" && return 1
  metric_is signsvc_backend_call_duration_seconds_count 'error_type=' '> 0'
}
await "the metrics show failing signatures" 30 shows
detected
! bash -c "signsvc hsm check --module $MODULE --token $TOKEN --pin-file $PIN_FILE" > /dev/null 2>&1 || fail "hsm check finds the token that is away"

rmdir tokens && mv away tokens
follow hsm-failure.md Check
stop_service
start_service "$work/data" "${hsm[@]}"
await "the token is ready" 60 metric_is signsvc_hsm_token_ready "" '== 1'
follow hsm-failure.md Verify
signsvc verify wanted.txt --key "$KEY" --signature wanted.sig > /dev/null || fail "an old signature does not verify"
restored
