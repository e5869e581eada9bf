#!/bin/sh
# Builds rqlited for the tests and for "orama dev start --store rqlite", once a version, and prints where it is.
# Needs gcc and any Go: the right one comes by Go's module proxy. Everything is checked against Go's checksum database.
set -eu
cd "$(dirname "$0")/../.."

# The last of version 8. Where a newer major is wanted: change the module's name with it.
MODULE=github.com/rqlite/rqlite/v8
VERSION=v8.43.4

folder=$PWD/.orama/rqlited
program=$folder/$VERSION/rqlited

# Whoever gets the program gets its licence.
if [ ! -x "$program" ] || [ ! -e "$folder/$VERSION/LICENSE" ]; then
  if ! command -v gcc >/dev/null 2>&1; then
    echo 'error: rqlited is built with gcc' >&2
    echo 'next: on Debian: apt-get install -y --no-install-recommends build-essential' >&2
    exit 1
  fi
  . deploy/dev/go.sh
  # In its own module, so that its own checksums and replacements hold. -O1: SQLite's C takes a third of the whole else.
  cd /
  cd "$(download "$MODULE@$VERSION")"
  mkdir -p "$folder/$VERSION"
  GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=1 CGO_CFLAGS=-O1 "$go" build -mod=readonly -trimpath -buildvcs=false \
    -ldflags='-s -w' -o "$program.$$" ./cmd/rqlited >&2
  cp -f LICENSE "$folder/$VERSION/"
  mv "$program.$$" "$program"
fi
ln -sfn "$VERSION/rqlited" "$folder/rqlited"
echo "$folder/rqlited"
