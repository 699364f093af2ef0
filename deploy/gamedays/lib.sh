# What game days share: a service of their own in a folder of its own, and a way to follow a runbook as it is written.
# Sourced by the scripts beside it. Programs: SIGNSVC_DLL and SIGNSVC_CLI_DLL, by default as this repository builds them.
set -euo pipefail

# The stand-in for AWS KMS: KMS_EMULATOR_DLL.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
export SIGNSVC_DLL=${SIGNSVC_DLL:-$root/src/SignSvc/bin/Release/net10.0/SignSvc.dll}
SIGNSVC_CLI_DLL=${SIGNSVC_CLI_DLL:-$root/src/SignSvc.Cli/bin/Release/net10.0/signsvc.dll}
work=$(mktemp -d)
service=
emulator=
readonly here root work
cd "$work"

cleanup() {
  [[ -z $service ]] || kill -KILL "$service" 2>/dev/null || true
  [[ -z $emulator ]] || kill -KILL "$emulator" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

mkdir bin
printf '#!/usr/bin/env bash\nexec dotnet %q "$@"\n' "$SIGNSVC_CLI_DLL" > bin/signsvc
chmod +x bin/signsvc
PATH=$work/bin:$PATH
unset SIGNSVC_TOKEN

say() { printf '%s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; tail -n 20 "$work/service.log" >&2 || true; exit 1; }

# start_service DATA [NAME=VALUE…]: on ports that the system chooses; sets SIGNSVC_URL and SIGNSVC_TOKEN.
start_service() {
  local data=$1; shift
  : > service.log
  # A disk that is busy with others is not what is rehearsed.
  env ASPNETCORE_URLS="${urls:-http://127.0.0.1:0}" SignSvc__Grpc__Url= SIGNSVC_DATA="$data" SignSvc__PrintBootstrapCredential=false \
    SignSvc__Audit__CommitTimeoutMilliseconds=10000 "$@" \
    dotnet "$SIGNSVC_DLL" >> service.log 2>&1 &
  service=$!
  await "the service serves" 60 grep -q '^SignSvc serves ' service.log
  SIGNSVC_URL=$(sed -n 's/^SignSvc serves \([^ ;]*\).*/\1/p' service.log)
  SIGNSVC_TOKEN=$(cat "$data/bootstrap.credential")
  export SIGNSVC_URL SIGNSVC_TOKEN
}

# start_kms: a stand-in for AWS KMS in $REGION; sets KMS_URL and kms_settings, by which the service finds it, and puts an `aws`
# on the path that asks it.
start_kms() {
  dotnet "${KMS_EMULATOR_DLL:-$root/tests/SignSvc.KmsEmulator/bin/Release/net10.0/SignSvc.KmsEmulator.dll}" --url http://127.0.0.1:0 --control > kms.log 2>&1 &
  emulator=$!
  await "the stand-in for KMS serves" 60 grep -q 'http://127.0.0.1:[1-9]' kms.log
  KMS_URL=$(grep -o 'http://127.0.0.1:[0-9]*' kms.log | head -n 1)
  kms_settings=(SignSvc__Backends__AwsKms__default__Region="$REGION" SignSvc__Backends__AwsKms__default__Installation=gameday
    SignSvc__Backends__AwsKms__default__ServiceUrl="$KMS_URL" SignSvc__Backends__AwsKms__default__QuotaPerSecond__MANAGEMENT=100)
  export KMS_URL AWS_ACCESS_KEY_ID=111111111111 AWS_SECRET_ACCESS_KEY=any AWS_EC2_METADATA_DISABLED=true AWS_MAX_ATTEMPTS=1
  printf '#!/usr/bin/env bash\nexec %q --endpoint-url %q "$@"\n' "$(command -v aws || fail "apt-get install -y awscli")" "$KMS_URL" > bin/aws
  chmod +x bin/aws
}

# kms METHOD PATH [JSON]: tells the stand-in how to behave.
kms() { curl -sf -X "$1" "$KMS_URL/_emulator/$2" ${3:+-H 'Content-Type: application/json' -d "$3"}; }

# stop_service: SIGTERM, and the exit code has to be 0.
stop_service() {
  kill -TERM "$service"
  wait "$service" || fail "the service ended with exit code $?"
  service=
}

kill_service() {
  kill -KILL "$service"
  wait "$service" 2>/dev/null || true
  service=
}

# await WHAT SECONDS COMMAND…: until the command succeeds.
await() {
  local what=$1 deadline=$((SECONDS + $2)); shift 2
  until "$@" > /dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "in time: $what"
    [[ -z $service ]] || kill -0 "$service" 2>/dev/null || fail "the service has ended"
    sleep 0.1
  done
}

# metric NAME [ATTRIBUTE]: its value; several series are added up.
metric() {
  curl -sk "$SIGNSVC_URL/metrics" | awk -v name="$1" -v attribute="${2:-}" \
    'index($0, name "{") == 1 || index($0, name " ") == 1 { if (attribute == "" || index($0, attribute)) { sum += $NF; found = 1 } } END { if (!found) exit 1; printf "%.6f\n", sum }'
}

# metric_is NAME ATTRIBUTE TEST: such as '== 0'.
metric_is() { local value; value=$(metric "$1" "$2") && awk "BEGIN { exit !($value $3) }"; }

# follow RUNBOOK SECTION: runs the sh blocks under the heading that begins so, as they are written.
follow() {
  local commands
  commands=$(awk -v section="## $2" '/^## / { inside = index($0, section) == 1 } /^```/ { code = inside && $0 == "```sh"; next } code' "$root/deploy/runbooks/$1")
  [[ -n $commands ]] || fail "$1 has no commands under $2"
  bash -euo pipefail -c "$commands" > followed.log 2>&1 || { cat followed.log >&2; fail "$1, $2"; }
}

now() { date +%s.%N; }
staged() { staged_at=$(now); }
detected() { detected_at=$(now); }

# restored: the last line of a game day, how long it took to detect and to restore.
restored() {
  awk -v name="$(basename "$0" .sh)" -v staged="$staged_at" -v detected="$detected_at" -v now="$(now)" \
    'BEGIN { printf "%s: detected after %.1f s, well again after %.1f s\n", name, detected - staged, now - staged }'
}
