#!/usr/bin/env bash
# Publishes signsvc, and beside it sigstore-kms-signsvc: the plugin that cosign starts for --key signsvc://NAME.
# It is the same program under another name. Needs the .NET SDK; what it makes needs no .NET.
#
#   deploy/cosign/publish.sh [FOLDER]     default: artifacts/cosign; put it on PATH
#
# Run again, it does nothing unless a source has changed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${1:-$root/artifacts/cosign}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
readonly root folder

# Two runs into one folder take turns.
exec 9>"$folder/.lock"
flock 9

sources=$(
  cd "$root"
  find Directory.*.props global.json src/Directory.Build.props src/SignSvc.Cli src/SignSvc.Signing src/SignSvc.Backends.Pkcs11 deploy/cosign/publish.sh \
    \( -name bin -o -name obj \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
)
if [[ -x $folder/signsvc && -f $folder/.sources && $(<"$folder/.sources") == "$sources" ]]; then
  exit 0
fi

# Build files of its own: a build of the checkout may run at the same time.
MSBUILDDISABLENODEREUSE=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 \
  dotnet publish "$root/src/SignSvc.Cli" -c Release -r linux-x64 --self-contained -v quiet \
  --artifacts-path "$root/artifacts/cosign-build" -p:RestoreLockedMode=true -p:RunAnalyzers=false -o "$folder" 9>&-
ln -sfn signsvc "$folder/sigstore-kms-signsvc"
printf '%s\n' "$sources" >"$folder/.sources"
