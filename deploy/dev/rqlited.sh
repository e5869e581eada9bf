#!/bin/sh
# Builds rqlited for the tests and for "orama dev start --store rqlite", once a version, and prints where it is.
# Needs gcc and any Go: the right one comes by Go's module proxy. Everything is checked against Go's checksum database.
set -eu
cd "$(dirname "$0")/../.."

# The last of version 8. Where a newer major is wanted: change the module's name with it.
MODULE=github.com/rqlite/rqlite/v8
VERSION=v8.43.4
# The oldest Go it builds with, and the one that is taken where there is none as new.
GO_NEEDED='1 24'
GO_TAKEN=1.25.5

folder=$PWD/.orama/rqlited
program=$folder/$VERSION/rqlited

# Whether this is a Go that is new enough.
is_new_enough() {
  # shellcheck disable=SC2046,SC2086 # words
  set -- $("$1" env GOVERSION 2>/dev/null | sed -n 's/^go\([0-9]*\)\.\([0-9]*\).*/\1 \2/p') $GO_NEEDED
  [ $# = 4 ] && { [ "$1" -gt "$3" ] || { [ "$1" = "$3" ] && [ "$2" -ge "$4" ]; }; }
}

# A Go of any age, as Debian installs it or as go.dev unpacks it.
find_go() {
  for go in go /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
    if command -v "$go" 2>/dev/null && is_new_enough "$go"; then return; fi
  done | tail -n 1
}

# A module's folder in the cache of modules.
download() {
  GOTOOLCHAIN=local GOFLAGS='' "$go" mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

if [ ! -x "$program" ]; then
  go=$(find_go)
  if [ -z "$go" ] || ! command -v gcc >/dev/null 2>&1; then
    echo 'error: rqlited is built from source, which needs Go (of any version) and gcc' >&2
    echo 'next: on Debian: apt-get install -y --no-install-recommends golang-go build-essential' >&2
    exit 1
  fi
  cd / # No go.mod of a folder above has a say.
  if ! is_new_enough "$go"; then
    toolchain=$(download "golang.org/toolchain@v0.0.1-go$GO_TAKEN.linux-$("$go" env GOARCH)")
    # Modules hold no programs, so that older versions of Go unpack none.
    chmod -R u+x "$toolchain/bin" "$toolchain/pkg/tool"
    go=$toolchain/bin/go
  fi
  # In its own module, so that its own checksums and replacements hold. -O1: SQLite's C takes a third of the whole else.
  cd "$(download "$MODULE@$VERSION")"
  mkdir -p "$folder/$VERSION"
  GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=1 CGO_CFLAGS=-O1 "$go" build -mod=readonly -trimpath -buildvcs=false \
    -ldflags='-s -w' -o "$program.$$" ./cmd/rqlited >&2
  mv "$program.$$" "$program"
fi
ln -sfn "$VERSION/rqlited" "$folder/rqlited"
echo "$folder/rqlited"
