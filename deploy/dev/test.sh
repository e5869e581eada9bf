#!/bin/sh
# Installs what the tests need, builds, and runs every check; with arguments it builds and hands them to vitest.
. "$(dirname "$0")/prepare.sh"

NEEDED='chromium:chromium firefox-esr:firefox-esr turnserver:coturn turnutils_uclient:coturn turnutils_peer:coturn ffmpeg:ffmpeg ffprobe:ffmpeg openssl:openssl certutil:libnss3-tools'

install_programs
prepare
if [ "${1:-}" = -- ]; then shift; fi
exec node deploy/dev/test.ts "$@"
