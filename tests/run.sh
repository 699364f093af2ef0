#!/usr/bin/env bash
# Runs all of SignSvc's tests, from a clean clone on, and installs the tools that they need.
# The last line is always "N passed, N failed, N skipped"; the exit code is 0 only when something
# ran and nothing failed. A step that fails before the tests counts as one failure.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tests/run.sh [--fast] [--filter EXPRESSION]
  --fast     do not install tools, and leave out the projects named *.Clients.Tests
  --filter   run the tests that match, in dotnet test's notation: FullyQualifiedName~Rotation
TEXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
results=$root/artifacts/tests
readonly root results

fast=
filter=
passed=0 failed=0 skipped=0
summary=()

main() {
  read_arguments "$@"
  trap close_with_totals EXIT
  cd "$root"
  set_environment
  rm -rf "$results"
  mkdir -p "$results"

  [[ $fast ]] || step "Installing tools" retry tests/install-tools.sh
  step "Restoring packages" retry dotnet restore SignSvc.sln --locked-mode -v quiet
  step "Building" dotnet build SignSvc.sln --no-restore -c Release -v quiet --nologo
  # Tests need it, and would publish it themselves: it takes both processors of the tests beside it, and packages from the network.
  [[ $fast || $filter ]] || step "Publishing cosign's plugin" retry deploy/cosign/publish.sh "$root/.tools/plugin"
  # Wrong layout fails the run, but says nothing about the tests: go on.
  check "Checking the code's format" dotnet format SignSvc.sln --verify-no-changes --no-restore || true

  local project
  while read -r project; do
    test_project "$project" </dev/null
  done < <(test_projects)
}

read_arguments() {
  while (($#)); do
    case $1 in
      --fast) fast=1 ;;
      --filter)
        (($# > 1)) || { usage >&2; exit 2; }
        filter=$2
        shift
        ;;
      --filter=*) filter=${1#*=} ;;
      -h | --help) usage; exit 0 ;;
      *) usage >&2; exit 2 ;;
    esac
    shift
  done
}

set_environment() {
  export SIGNSVC_TOOLS=${SIGNSVC_TOOLS:-$root/.tools}
  export PATH=$SIGNSVC_TOOLS/bin:$PATH
  # Published test vectors, kept outside the repository.
  if [[ -z ${SIGNSVC_VECTORS:-} && -d $root/../shared/vectors ]]; then
    SIGNSVC_VECTORS=$(cd "$root/../shared/vectors" && pwd)
    export SIGNSVC_VECTORS
  fi
  export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1
  # Build processes that outlive this script would hold its output open.
  export MSBUILDDISABLENODEREUSE=1 DOTNET_CLI_USE_MSBUILD_SERVER=0
}

say() { printf '%s\n' "$*"; }

step() {
  check "$@" || exit 1
}

check() {
  say "== $1"
  shift
  "$@" </dev/null && return 0
  say "FAILED: $*"
  summary+=("failed: $*")
  failed=$((failed + 1))
  return 1
}

# A mirror that does not answer is asked again; what is wrong in itself fails each time.
retry() {
  local pause
  for pause in 5 20; do
    "$@" && return
    say "That failed. Again in $pause s: $*"
    sleep "$pause"
  done
  "$@"
}

test_projects() {
  awk -F'"' '/^Project\(/ && $6 ~ /\.Tests\.csproj$/ { gsub(/\\/, "/", $6); print $6 }' SignSvc.sln |
    { if [[ $fast ]]; then grep -v '\.Clients\.Tests\.csproj$' || true; else cat; fi; } | sort
}

test_project() {
  local project=$1 name trx outcome=0 counts total ok bad ignored
  name=$(basename "$project" .csproj)
  trx=$results/$name.trx
  say "== $name"
  # A hung test is named and ended. No dumps of crashes: their settings would reach the services
  # that tests start and kill, and a dump holds keys.
  dotnet test "$project" --no-build -c Release --nologo -v quiet ${filter:+--filter "$filter"} \
    --results-directory "$results" --logger "trx;LogFileName=$name.trx" --logger "console;verbosity=minimal" \
    --blame-hang --blame-hang-timeout 15m --blame-hang-dump-type none || outcome=$?

  counts="0 0 0"
  [[ -s $trx ]] && counts=$(count_results "$trx")
  read -r ok bad ignored <<<"$counts"
  total=$((ok + bad + ignored))

  local remark=
  if ((outcome != 0 && bad == 0)); then
    # The test host died, or nothing could be started: no result file says so.
    remark="dotnet test ended with $outcome and named no failed test"
    bad=1
  elif ((total == 0)) && [[ -z $filter ]]; then
    remark="no test found"
    bad=1
  fi
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + ignored))
  summary+=("$(printf '%-28s %6d passed %4d failed %4d skipped  %s' "$name" "$ok" "$bad" "$ignored" "$remark")")
  [[ -s $trx ]] && mapfile -t -O "${#summary[@]}" summary < <(failed_names "$trx")
  return 0
}

# Counts single results: the <Counters> element of a .trx file has no figure for skipped tests.
count_results() {
  results_of "$1" | awk '
    /outcome="Passed"/ { ok++; next }
    /outcome="NotExecuted"/ { ignored++; next }
    { bad++ }
    END { printf "%d %d %d\n", ok, bad, ignored }'
}

failed_names() {
  results_of "$1" | awk '!/outcome="(Passed|NotExecuted)"/ {
    sub(/.* testName="/, ""); sub(/".*/, "")
    gsub(/&quot;/, "\""); gsub(/&lt;/, "<"); gsub(/&gt;/, ">"); gsub(/&amp;/, "\\&")
    print "    failed: " $0
  }'
}

# The opening tag of every result, one a line. In XML neither "<" nor a bare quote can stand
# inside an attribute, so a test's output cannot pass for a result.
results_of() {
  awk 'BEGIN { RS = "<" } /^UnitTestResult / { gsub(/[\r\n]/, " "); print }' "$1"
}

close_with_totals() {
  local status=$?
  trap - EXIT
  say
  ((${#summary[@]})) && printf '%s\n' "${summary[@]}"
  if ((status != 0 && failed == 0)); then
    say "tests/run.sh itself ended with $status"
    failed=1
  fi
  if ((failed)); then
    status=1
  elif ((passed == 0)); then
    say "No test ran."
    status=1
  fi
  say "$passed passed, $failed failed, $skipped skipped"
  exit "$status"
}

main "$@"
