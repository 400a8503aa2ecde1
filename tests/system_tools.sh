#!/bin/sh
# Chromium and ExifTool, which a few tests compare against: what is found is used, else they are installed where this
# user may do so, else those tests are skipped and say why. Never fails.
set -u
missing=""
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ||
    command -v google-chrome >/dev/null 2>&1 || missing="chromium"
command -v exiftool >/dev/null 2>&1 || missing="$missing libimage-exiftool-perl"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing for the tests:$missing"
    log=$(mktemp)
    # shellcheck disable=SC2086 # a list of package names
    if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
        >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -3 "$log"
    rm -f "$log"
fi
echo "not installed, the tests that need them are skipped: $missing"
exit 0
