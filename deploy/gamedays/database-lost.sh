#!/usr/bin/env bash
# The database is gone; a backup is proved and restored into a new folder with the same root key.
source "$(dirname "$0")/lib.sh"
export KEY=release BACKUP=$work/signsvc.backup NEW_DATA=$work/new
start_service "$work/data"
date > before.txt
signsvc sign before.txt --key "$KEY" --output-signature before.sig
curl -sf -X POST "$SIGNSVC_URL/v1/backup" -H "Authorization: Bearer $SIGNSVC_TOKEN" -o "$BACKUP"

staged
kill_service
rm "$work"/data/signsvc.db*
! SIGNSVC_DATA="$work/data" dotnet "$SIGNSVC_DLL" > refused.log 2>&1 || fail "it started without its database"
detected

install -d -m 0700 "$NEW_DATA"
install -m 0600 "$work/data/root.key" "$NEW_DATA/root.key"
follow database-lost.md "Act: restore a backup"
cp -p "$work/data/bootstrap.credential" "$NEW_DATA/"
start_service "$NEW_DATA"
follow database-lost.md Check
follow database-lost.md Verify
signsvc verify before.txt --key "$KEY" --signature before.sig > /dev/null || fail "an old signature does not verify"
restored
