#!/bin/sh
# Builds deploy/dev/caddy for the tests, once a version, and prints where it is: a Caddy newer than Debian's, with the PROXY
# protocol and a DNS provider. Needs any Go.
set -eu
cd "$(dirname "$0")/../.."

version=$(sed -n 's#^\tgithub.com/caddyserver/caddy/v2 ##p' deploy/dev/caddy/go.mod)
folder=$PWD/.orama/caddy
program=$folder/$version/caddy

# One at a time: who comes second waits for what the first one builds.
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if [ ! -x "$program" ]; then
  . deploy/dev/go.sh
  cd deploy/dev/caddy
  mkdir -p "$folder/$version"
  GOTOOLCHAIN=local GOFLAGS='' CGO_ENABLED=0 "$go" build -mod=readonly -trimpath -buildvcs=false -ldflags='-s -w' \
    -o "$program.$$" . >&2
  mv "$program.$$" "$program"
fi
ln -sfn "$version/caddy" "$folder/caddy"
echo "$folder/caddy"
