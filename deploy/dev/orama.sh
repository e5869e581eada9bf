#!/bin/sh
# Runs the orama command line from a checkout, installed and built first: orama.sh [--] <arguments of orama>
. "$(dirname "$0")/prepare.sh"
prepare
first=$1
shift
# pnpm hands over the "--" of "pnpm run demo -- --check".
if [ "${1:-}" = -- ]; then shift; fi
exec node cmd/orama/dist/main.js "$first" "$@"
