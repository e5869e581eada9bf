#!/bin/sh
# Installs what the benchmarks need, builds, and runs one: bench.sh turn [--help].
. "$(dirname "$0")/prepare.sh"

NEEDED='turnserver:coturn gcc:build-essential taskset:util-linux'

install_programs
prepare
if [ "${1:-}" = -- ]; then shift; fi
exec node --conditions=source test/bench/main.ts "$@"
