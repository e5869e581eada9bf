#!/bin/sh
# Installs what the tests need, builds, and runs every check; with arguments it builds and hands them to vitest.
. "$(dirname "$0")/prepare.sh"

NEEDED='dig:bind9-dnsutils caddy:caddy pebble:pebble pdns_server:pdns-server /usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql:pdns-backend-sqlite3 knotd:knot chromium:chromium firefox-esr:firefox-esr turnserver:coturn turnutils_uclient:coturn turnutils_peer:coturn ffmpeg:ffmpeg ffprobe:ffmpeg openssl:openssl certutil:libnss3-tools go:golang-go gcc:build-essential faketime:faketime ip:iproute2 nft:nftables systemd-analyze:systemd prometheus:prometheus promtool:prometheus'
# Nobody but root can make the machines of the tests on real nodes.
if [ "$(id -u)" = 0 ]; then
  NEEDED="$NEEDED systemd-nspawn:systemd-container wireguard-go:wireguard-go wg:wireguard-tools ping:iputils-ping curl:curl nsenter:util-linux dpkg-deb:dpkg ufw:ufw pkill:procps sysctl:procps"
fi

install_programs
# Mostly a compiler's work, beside the installation's waiting.
sh deploy/dev/rqlited.sh >/dev/null &
rqlited=$!
prepare
wait "$rqlited"
# For the last of all tests: it has the time of those before it, and they have the processor.
if [ "$#" = 0 ] && [ "$(id -u)" = 0 ]; then nice -n 19 sh deploy/dev/caddy.sh >/dev/null & fi
if [ "${1:-}" = -- ]; then shift; fi
exec node deploy/dev/test.ts "$@"
