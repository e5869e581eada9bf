#!/bin/sh
# Runs a program of this checkout, installed and built first: run.sh [--needs '<program>:<Debian package> ...'] <arguments of node>
. "$(dirname "$0")/prepare.sh"

if [ "$1" = --needs ]; then
  NEEDED=$2
  shift 2
  install_programs
fi
prepare

# pnpm hands over the "--" of "pnpm run demo -- --check".
separator=--
for argument in "$@"; do
  shift
  if [ "$argument" = "$separator" ]; then separator=; else set -- "$@" "$argument"; fi
done
exec node "$@"
