#!/bin/sh
# Makes a SoftHSM2 token in a folder and prints the settings that use it. For development and tests: SoftHSM2 keeps keys
# in files, and SignSvc says so of every key in it (protection: software).
#
#   sh softhsm.sh [folder] [label]
set -eu
folder=$(mkdir -p "${1:-./softhsm}" && cd "${1:-./softhsm}" && pwd)
label=${2:-signsvc}
command -v softhsm2-util >/dev/null || { echo "softhsm2-util is missing: apt-get install -y softhsm2" >&2; exit 1; }
module=
for candidate in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
    [ -z "$module" ] && [ -f "$candidate" ] && module=$candidate
done
[ -n "$module" ] || { echo "libsofthsm2.so is missing: apt-get install -y softhsm2" >&2; exit 1; }

umask 077
mkdir -p "$folder/tokens"
cat > "$folder/softhsm2.conf" <<CONF
directories.tokendir = $folder/tokens
objectstore.backend = file
log.level = ERROR
slots.removable = false
CONF
if [ ! -f "$folder/pin" ]; then
    od -An -N8 -tu8 /dev/urandom | tr -d ' ' > "$folder/pin"
    od -An -N8 -tu8 /dev/urandom | tr -d ' ' > "$folder/so-pin"
    # softhsm2-util takes PINs as arguments only: other users of this machine can see them while it runs.
    SOFTHSM2_CONF="$folder/softhsm2.conf" softhsm2-util --init-token --free --label "$label" \
        --pin "$(cat "$folder/pin")" --so-pin "$(cat "$folder/so-pin")" >&2
fi

cat <<SETTINGS
export SOFTHSM2_CONF=$folder/softhsm2.conf
export SignSvc__Backends__Pkcs11__ModulePath=$module
export SignSvc__Backends__Pkcs11__Tokens__0__Label=$label
export SignSvc__Backends__Pkcs11__Tokens__0__PinFile=$folder/pin
SETTINGS
