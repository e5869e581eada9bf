#!/bin/sh
# Installs what the tests need, builds, and runs every check; with arguments it builds and hands them to vitest.
. "$(dirname "$0")/prepare.sh"

# <program>:<Debian package that has it>
NEEDED='chromium:chromium firefox-esr:firefox-esr turnserver:coturn turnutils_uclient:coturn turnutils_peer:coturn openssl:openssl'

missing_packages() {
  for pair in $NEEDED; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || echo "${pair#*:}"
  done | sort -u
}

install_programs() {
  missing=$(missing_packages | tr '\n' ' ')
  if [ -z "$missing" ]; then return; fi
  line="apt-get update && apt-get install -y --no-install-recommends $missing"
  if [ ! -e /etc/debian_version ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "error: the tests need the programs of these Debian packages: $missing" >&2
    echo "next: install them the way this system does, for example on Debian: $line" >&2
    exit 1
  fi
  if [ "$(id -u)" != 0 ]; then
    echo "error: the tests need these packages: $missing" >&2
    echo "next: sudo sh -c '$line'" >&2
    exit 1
  fi
  echo "installing $missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  # shellcheck disable=SC2086 # a list of words
  apt-get -qq -y install --no-install-recommends $missing
  case $missing in
    # The package starts a server on port 3478 of every address, which is the port of ours.
    *coturn*) if [ -d /run/systemd/system ]; then systemctl disable --now coturn; fi ;;
  esac
  still=$(missing_packages | tr '\n' ' ')
  if [ -n "$still" ]; then
    echo "error: still missing after the installation: $still" >&2
    exit 1
  fi
}

install_programs
prepare
if [ "${1:-}" = -- ]; then shift; fi
exec node deploy/dev/test.ts "$@"
