#!/usr/bin/env bash
# The service's certificate is about to expire; it is renewed while the node runs on; a caller gets a new credential.
source "$(dirname "$0")/lib.sh"
export CERTIFICATE=$work/tls.crt CREDENTIAL=ci-2
tls=(Kestrel__Certificates__Default__Path="$CERTIFICATE" Kestrel__Certificates__Default__KeyPath="$work/tls.key")
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "$1" -subj /CN=localhost \
    -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout "$work/tls.key" -out "$CERTIFICATE" 2> /dev/null
}
export SSL_CERT_FILE=$CERTIFICATE urls=https://127.0.0.1:0

staged
certificate 1
start_service "$work/data" "${tls[@]}"
await "the metrics show it" 60 metric_is signsvc_certificate_remaining_seconds "" '< 86401'
detected

follow certificate-expired.md Check
certificate 90
await "the renewed one is served" 60 curl -sf --cacert "$CERTIFICATE" "$SIGNSVC_URL/healthz/live"
follow certificate-expired.md "Act: a credential"
[[ -s $CREDENTIAL.token ]] || fail "there is no new token"
follow certificate-expired.md Verify
metric_is signsvc_certificate_remaining_seconds "" '> 7000000' || fail "the metrics do not show the new certificate"
restored
