#!/bin/sh
# Installs what the tests need, builds, and runs every check; with arguments it builds and hands them to vitest.
. "$(dirname "$0")/prepare.sh"

NEEDED='dig:bind9-dnsutils caddy:caddy pebble:pebble pdns_server:pdns-server /usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql:pdns-backend-sqlite3 knotd:knot chromium:chromium firefox-esr:firefox-esr turnserver:coturn turnutils_uclient:coturn turnutils_peer:coturn ffmpeg:ffmpeg ffprobe:ffmpeg openssl:openssl certutil:libnss3-tools go:golang-go gcc:build-essential faketime:faketime ip:iproute2 nft:nftables systemd-analyze:systemd prometheus:prometheus promtool:prometheus'

install_programs
# Mostly a compiler's work, beside the installation's waiting.
sh deploy/dev/rqlited.sh >/dev/null &
rqlited=$!
prepare
wait "$rqlited"
if [ "${1:-}" = -- ]; then shift; fi
exec node deploy/dev/test.ts "$@"
