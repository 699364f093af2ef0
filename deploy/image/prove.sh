#!/usr/bin/env bash
# Proves what can be proved of the image without a registry: the last stage of the Dockerfile, as it is written, on a base of
# nothing but this machine's .NET runtime and the libraries it loads. No shell is in it.
#   prove.sh FOLDER        with the published (or built) service
# Not proved: the first stage (it runs `dotnet publish` in the SDK's image) and Microsoft's own base image.
set -euo pipefail
published=$(readlink -f "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dotnet=$(dirname "$(readlink -f "$(command -v dotnet)")")
work=$(mktemp -d)
base=localhost/signsvc-proof-base:$$ image=localhost/signsvc-proof:$$ container=
readonly published root dotnet work base image
export BUILDAH_ISOLATION=chroot

served=
cleanup() {
  [[ -z $served ]] || kill -KILL "$served" 2> /dev/null || true
  [[ -z $container ]] || buildah rm "$container" > /dev/null || true
  buildah rmi -f "$image" "$base" > /dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# healthy PROGRAM…: --healthcheck gives up after 3 s, which on a busy machine says nothing of the service: it is asked again.
healthy() {
  for _ in $(seq 10); do "$@" --healthcheck > /dev/null && return; done
  return 1
}

# The base: the host, the runtimes, and every library that they or OpenSSL's loader want. No /bin.
mkdir -p "$work"/base/{usr/share/dotnet,tmp,etc,proc,dev}
cp -a "$dotnet"/{dotnet,host,shared} "$work/base/usr/share/dotnet/"
mkdir -p "$work/base/usr/bin"
ln -s /usr/share/dotnet/dotnet "$work/base/usr/bin/dotnet"
{ find "$dotnet/shared" "$dotnet/host" "$published" -name '*.so' -o -name dotnet -type f; ls /usr/lib/*/libssl.so.3 /usr/lib/*/libcrypto.so.3; } |
  while read -r file; do ldd "$file" 2> /dev/null || true; echo "=> $file"; done |
  sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\t\(\/lib64[^ ]*\).*/\1/p' | grep -v "^$dotnet\|^$published" | sort -u |
  while read -r library; do install -D "$library" "$work/base$library"; done
printf 'nobody:x:1654:1654::/:/none\n' > "$work/base/etc/passwd"
container=$(buildah from scratch)
buildah copy -q "$container" "$work/base" / > /dev/null
buildah commit -q "$container" "$base" > /dev/null
buildah rm "$container" > /dev/null
container=

# The Dockerfile with its first stage exchanged for what was built outside; from the second FROM on it is the file as it is.
mkdir -p "$work/context/out" "$work/context/data"
cp -a "$published/." "$work/context/out/"
{
  printf 'ARG RUNTIME\nFROM scratch AS build\nCOPY out /out\nCOPY data /data\n'
  sed -n '/^FROM \${RUNTIME}/,$p' "$root/Dockerfile"
} > "$work/context/Dockerfile"
buildah bud -q --format docker --build-arg RUNTIME="$base" --build-arg REVISION=proof -t "$image" "$work/context" > /dev/null

config=$(buildah inspect --type image "$image")
is() { [[ $(jq -r "$1" <<< "$config") == "$2" ]] || fail "$1 is $(jq -r "$1" <<< "$config"), not $2"; }
is .Docker.config.User 1654:1654
is .Docker.config.StopSignal SIGTERM
is '.Docker.config.Entrypoint | join(" ")' 'dotnet /app/SignSvc.dll'
is '.Docker.config.Healthcheck.Test | join(" ")' 'CMD dotnet /app/SignSvc.dll --healthcheck'
is '.Docker.config.Labels["org.opencontainers.image.revision"]' proof
is '.Docker.config.Volumes | keys | join(" ")' /data

container=$(buildah from "$image")
tree=$(buildah mount "$container")
[[ ! -e $tree/bin/sh && ! -e $tree/usr/bin/sh ]] || fail "there is a shell"
[[ $(stat -c %u "$tree/data") == 1654 ]] || fail "/data belongs to $(stat -c %u "$tree/data")"

# As its user: settings are good, it serves, it says so, it ends on SIGTERM.
inside() { buildah run --user 1654:1654 "$@"; }
inside "$container" -- dotnet /app/SignSvc.dll --check > "$work/check.log" 2>&1 || { cat "$work/check.log" >&2; fail "--check"; }
inside --env ASPNETCORE_URLS=http://127.0.0.1:0 --env SignSvc__Grpc__Url= "$container" -- dotnet /app/SignSvc.dll > "$work/run.log" 2>&1 &
runner=$!
for _ in $(seq 300); do grep -q '^SignSvc serves' "$work/run.log" && break; kill -0 $runner 2> /dev/null || break; sleep 0.1; done
url=$(sed -n 's/^SignSvc serves \([^ ;]*\).*/\1/p' "$work/run.log")
[[ -n $url ]] || { cut -c1-300 "$work/run.log" >&2; fail "it does not serve"; }
served=$runner
while child=$(pgrep -P "$served"); do served=$child; done
healthy inside --env ASPNETCORE_URLS="$url" "$container" -- dotnet /app/SignSvc.dll || fail "--healthcheck"
! grep -q ssv1_ "$work/run.log" || fail "the administrator's token is in the log"
written=$(find "$tree" -xdev -newer "$work/check.log" -type f ! -path "$tree/data/*" ! -path "$tree/proc/*" ! -path "$tree/dev/*" | head -n 3)
[[ -z $written ]] || fail "it writes outside of /data: $written"
kill -TERM "$served"
wait $runner || fail "it ended with exit code $?"
served=
# The same tree as an engine runs it: read-only but for /data, process 1 of its own, no capability and none to be had.
mapfile -t variables < <(jq -r '.Docker.config.Env[]' <<< "$config")
install -d -o 1654 -g 1654 -m 700 "$work/data"
touch "$tree"/dev/{null,zero,random,urandom}
# shellcheck disable=SC2016 # It is expanded inside.
confined() {
  unshare --mount --pid --fork --kill-child bash -euc '
    tree=$1 data=$2; shift 2
    mount --bind "$tree" "$tree"
    mount --bind "$data" "$tree/data"
    mount -t proc proc "$tree/proc"
    for device in null zero random urandom; do mount --bind "/dev/$device" "$tree/dev/$device"; done
    mount -o remount,bind,ro "$tree"
    exec env -i "$@"' - "$tree" "$work/data" "${variables[@]}" "$@"
}
as_user=(setpriv --no-new-privs chroot --userspec=1654:1654 --groups= "$tree" /usr/bin/dotnet /app/SignSvc.dll)
confined ASPNETCORE_URLS=http://127.0.0.1:0 SignSvc__Grpc__Url= "${as_user[@]}" > "$work/confined.log" 2>&1 &
runner=$! served=$runner
for _ in $(seq 300); do grep -q '^SignSvc serves' "$work/confined.log" && break; kill -0 $runner 2> /dev/null || break; sleep 0.1; done
url=$(sed -n 's/^SignSvc serves \([^ ;]*\).*/\1/p' "$work/confined.log")
[[ -n $url ]] || { cut -c1-300 "$work/confined.log" >&2; fail "it does not serve on a read-only root"; }
while child=$(pgrep -P "$served"); do served=$child; done
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$served/status"; }
[[ $(status Uid | cut -f1) == 1654 && $(status CapEff) == 0000000000000000 && $(status NoNewPrivs) == 1 ]] || fail "it has more rights than it should"
[[ $(status NSpid | awk '{print $NF}') == 1 ]] || fail "it is not process 1"
[[ $(awk '$5 == "/" { print $6 }' "/proc/$served/mountinfo") == ro* ]] || fail "its root is not read-only"
healthy confined ASPNETCORE_URLS="$url" "${as_user[@]}" || fail "--healthcheck on a read-only root"
kill -HUP "$served"
sleep 2
curl -fsS "$url/healthz/ready" > /dev/null || fail "SIGHUP ended it"
kill -TERM "$served"
wait $runner || fail "on a read-only root it ended with exit code $?"
served=

echo "proved: user, signals as process 1, health check, labels, no shell, read-only root, no capabilities, /data alone is written, SIGTERM ends it with 0"
