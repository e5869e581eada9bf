# Sourced by scripts that build a program of Go: $go is one that is new enough afterwards. Any Go will do to begin with, as the
# right one comes by Go's module proxy, checked against Go's checksum database.

# The oldest Go that all of them build with, and the one that is taken where there is none as new.
GO_NEEDED='1 25'
GO_TAKEN=1.25.5

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

go=$(find_go)
if [ -z "$go" ]; then
  echo 'error: this is built from source, which needs Go (of any version)' >&2
  echo 'next: on Debian: apt-get install -y --no-install-recommends golang-go' >&2
  exit 1
fi
if ! is_new_enough "$go"; then
  # No go.mod of a folder above has a say.
  toolchain=$(cd / && download "golang.org/toolchain@v0.0.1-go$GO_TAKEN.linux-$("$go" env GOARCH)")
  # Modules hold no programs, so that older versions of Go unpack none.
  chmod -R u+x "$toolchain/bin" "$toolchain/pkg/tool"
  go=$toolchain/bin/go
fi
