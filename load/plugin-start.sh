#!/usr/bin/env bash
# How long cosign's plugin takes to answer, and a whole signature through it: medians of wall-clock and CPU time.
# Prints a table; results worth keeping go into load/results.
#
#   load/plugin-start.sh [ROUNDS]     default: 21
#
# Needs: dotnet build src/SignSvc -c Release, tests/install-tools.sh, and a machine with nothing else to do.
set -euo pipefail

rounds=${1:-21}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${SIGNSVC_TOOLS:-$root/.tools}/bin
work=$(mktemp -d)
readonly rounds root tools work

main() {
  "$root/deploy/cosign/publish.sh" "$root/.tools/plugin"
  start_service
  export PATH=$root/.tools/plugin:$PATH HOME=$work COSIGN_PASSWORD=
  export SIGNSVC_TOKEN SIGNSVC_URL=$url
  SIGNSVC_TOKEN=$(<"$work/data/bootstrap.credential")
  cd "$work"
  head -c 1000000 /dev/urandom >file
  "$tools/cosign-3.1" signing-config create --out sc.json
  "$tools/cosign-3.1" trusted-root create --out tr.json
  "$tools/cosign-3.1" generate-key-pair >/dev/null 2>&1

  printf '%s, %s CPUs, load %s, commit %s, %d rounds\n\n' "$(uname -sm)" "$(nproc)" "$(cut -d' ' -f1 /proc/loadavg)" \
    "$(git -C "$root" rev-parse --short HEAD)" "$rounds"
  printf '| what | median ms | least ms | CPU ms |\n|---|---|---|---|\n'
  measure "plugin: defaultAlgorithm (start, read, write)" plugin defaultAlgorithm '{}'
  measure "plugin: publicKey, cached" plugin publicKey '{"publicKeyOptions":{}}'
  measure "plugin: publicKey, asked of the service" uncached plugin publicKey '{"publicKeyOptions":{}}'
  measure "plugin: signMessage of 1 MB" plugin signMessage '{"signOptions":{"messageOptions":{"digest":null}}}'
  measure "cosign 3.1 sign-blob, key in a file" sign_blob cosign.key
  measure "cosign 3.1 sign-blob through the plugin (4 starts)" sign_blob signsvc://release
  measure "cosign 2.5 sign-blob through the plugin (1 start)" \
    "$tools/cosign-2.5" sign-blob --yes --key signsvc://release --tlog-upload=false --output-signature f.sig file
}

start_service() {
  SIGNSVC_DATA=$work/data ASPNETCORE_URLS=http://127.0.0.1:0 SignSvc__Grpc__Url=http://127.0.0.1:0 \
    SignSvc__PrintBootstrapCredential=false dotnet "$root/src/SignSvc/bin/Release/net10.0/SignSvc.dll" >"$work/log" 2>&1 &
  service=$!
  trap 'kill $service; rm -rf "$work"' EXIT
  local attempt
  for ((attempt = 0; attempt < 300; attempt++)); do
    url=$(sed -nE 's|^SignSvc serves (http://127\.0\.0\.1:[0-9]+).*|\1|p' "$work/log")
    [[ $url ]] && return
    sleep 0.1
  done
  cat "$work/log" >&2
  exit 1
}

# A call of the plugin protocol, as cosign makes it.
plugin() {
  sigstore-kms-signsvc v1 "{\"initOptions\":{\"protocolVersion\":\"v1\",\"keyResourceID\":\"release\",\"hashFunc\":5},\"methodName\":\"$1\",\"$1\":$2}" <file
}

uncached() {
  rm -rf "$work/.cache/signsvc"
  "$@"
}

sign_blob() {
  "$tools/cosign-3.1" sign-blob --yes --key "$1" --signing-config sc.json --trusted-root tr.json --bundle f.bundle file
}

# Wall-clock, user and system time of each round, in seconds with three decimals.
measure() {
  local name=$1 i TIMEFORMAT='%R %U %S'
  shift
  "$@" >/dev/null 2>"$work/errors" || { cat "$work/errors" >&2; exit 1; }
  for ((i = 0; i < rounds; i++)); do
    { time "$@" >/dev/null 2>&1; } 2>&1
  done | sort -n | awk -v name="$name" '
    { wall[NR] = $1; cpu += $2 + $3 }
    END { printf "| %s | %.0f | %.0f | %.0f |\n", name, wall[int((NR + 1) / 2)] * 1000, wall[1] * 1000, cpu * 1000 / NR }'
}

main
