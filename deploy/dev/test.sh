#!/bin/sh
# Installs what the tests need, builds, and runs every check; with arguments it builds and hands them to vitest.
. "$(dirname "$0")/prepare.sh"

NEEDED='dig:bind9-dnsutils caddy:caddy pebble:pebble pdns_server:pdns-backend-sqlite3 knotd:knot chromium:chromium firefox-esr:firefox-esr turnserver:coturn turnutils_uclient:coturn turnutils_peer:coturn ffmpeg:ffmpeg ffprobe:ffmpeg openssl:openssl certutil:libnss3-tools go:golang-go gcc:build-essential faketime:faketime ip:iproute2 nft:nftables systemd-analyze:systemd prometheus:prometheus promtool:prometheus systemd-nspawn:systemd-container wireguard-go:wireguard-go wg:wireguard-tools ping:iputils-ping curl:curl nsenter:util-linux dpkg-deb:dpkg ufw:ufw unshare:util-linux'

install_programs
# Mostly a compiler's work, beside the installation's waiting.
{ sh deploy/dev/rqlited.sh && sh deploy/dev/caddy.sh; } >/dev/null &
built=$!
prepare
wait "$built"
if [ "${1:-}" = -- ]; then shift; fi
exec node deploy/dev/test.ts "$@"
