#!/usr/bin/env bash
# Judges all that load/ judges: the table of figures, every scenario, growth on either database. Some three hours on two processors
# that have nothing else to do. Says in the end what was missed, and exits with 1 if anything was missed, not measured or aborted.
#
#   load/check.sh FOLDER            reports go into FOLDER
#   load/check.sh --quick FOLDER    ten minutes: whether everything runs. Such short runs may miss what the long ones hold
#
# Needs: what `ratios` needs (tests/install-tools.sh installs it).
set -euo pipefail

ratios=(--check)
scenarios=()
growth=(--audit-rows 10000000)
if [[ ${1-} == --quick ]]; then
  shift
  ratios+=(--rounds 1 --seconds 1)
  scenarios=(--time 0.1)
  growth=(--keys 100 --audit-rows 10000)
fi
[[ $# == 1 && $1 != -* ]] || { echo "usage: load/check.sh [--quick] FOLDER" >&2; exit 2; }
folder=$(realpath -m "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly ratios scenarios growth folder

missed=()

# judge WHAT ARGUMENTS: goes on after a miss, so that one run says all.
judge() {
  local what=$1 code=0
  shift
  printf '\n== %s\n' "$what"
  dotnet run -c Release --no-build --project load/SignSvc.Load -- "$@" --out "$folder" </dev/null || code=$?
  ((code != 130)) || exit 130
  ((code == 0)) || missed+=("$what ($code)")
}

dotnet build load/SignSvc.Load -c Release -v quiet --nologo
judge "figures" ratios "${ratios[@]}"
while read -r name _; do
  judge "$name" run "$name" "${scenarios[@]}"
done < <(dotnet run -c Release --no-build --project load/SignSvc.Load -- list)
judge "growth on SQLite" growth "${growth[@]}"
judge "growth on PostgreSQL" growth "${growth[@]}" --postgres

if ((${#missed[@]})); then
  printf '\nNot held: %s.\nReports: %s\n' "$(IFS=,; printf '%s' "${missed[*]}" | sed 's/,/, /g')" "$folder"
  exit 1
fi
printf '\nEverything held. Reports: %s\n' "$folder"
