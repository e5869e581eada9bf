# Sourced by the scripts beside it: goes to the repository's root, installs what the lockfile names and builds what changed.
# Needs a POSIX shell and any Node with npm; the Node that the project runs on comes with the packages.
set -eu
cd "$(dirname "$0")/../.."
PATH="$PWD/node_modules/.bin:$PATH"
export PATH

run_pnpm() {
  if command -v pnpm >/dev/null 2>&1; then pnpm "$@"; else npx -y pnpm@12 "$@"; fi
}

# Runs a step quietly: what it printed is shown only when it fails.
quietly() {
  label=$1
  shift
  printf '%s ... ' "$label" >&2
  if output=$("$@" 2>&1); then
    echo done >&2
  else
    code=$?
    printf 'failed\n%s\n' "$output" >&2
    exit "$code"
  fi
}

# When the last preparation began that was finished.
PREPARED=node_modules/.prepared

# Whether something that is installed or built changed since, or is missing. dist/ and node_modules/ are results.
is_stale() {
  if [ ! -e "$PREPARED" ] || [ ! -e cmd/orama/dist/main.js ]; then return 0; fi
  changed=$(find cmd packages deploy/dev/bundle.ts test/package.json patches package.json pnpm-*.yaml tsconfig*.json \
    -name node_modules -prune -o -name dist -prune -o -type f -newer "$PREPARED" -print | head -n 1)
  [ -n "$changed" ]
}

prepare() {
  if ! is_stale; then return; fi
  quietly 'installing packages' run_pnpm install --frozen-lockfile --prefer-offline
  if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 24 ? 0 : 1)'; then
    echo "error: Node 24 or newer is needed, this is $(node --version). On Linux x64 and arm64 it is installed with the packages; elsewhere install it from https://nodejs.org" >&2
    exit 1
  fi
  touch "$PREPARED.begun"
  quietly 'building' run_pnpm run build
  mv "$PREPARED.begun" "$PREPARED"
}

# NEEDED: <program or file>:<Debian package that has it>, ...
missing_packages() {
  for pair in $NEEDED; do
    [ -e "${pair%%:*}" ] || command -v "${pair%%:*}" >/dev/null 2>&1 || echo "${pair#*:}"
  done | sort -u
}

install_programs() {
  missing=$(missing_packages | tr '\n' ' ')
  if [ -z "$missing" ]; then return; fi
  line="apt-get update && apt-get install -y --no-install-recommends $missing"
  if [ ! -e /etc/debian_version ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "error: this needs the programs of these Debian packages: $missing" >&2
    echo "next: install them the way this system does, for example on Debian: $line" >&2
    exit 1
  fi
  if [ "$(id -u)" != 0 ]; then
    echo "error: these packages are needed: $missing" >&2
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
  case $missing in
    # The same for port 53.
    *pdns*) if [ -d /run/systemd/system ]; then systemctl disable --now pdns; fi ;;
  esac
  case $missing in
    # The same for port 80.
    *caddy*) if [ -d /run/systemd/system ]; then systemctl disable --now caddy; fi ;;
  esac
  case $missing in
    *knot*) if [ -d /run/systemd/system ]; then systemctl disable --now knot; fi ;;
  esac
  case $missing in
    *prometheus*) if [ -d /run/systemd/system ]; then systemctl disable --now prometheus; fi ;;
  esac
  still=$(missing_packages | tr '\n' ' ')
  if [ -n "$still" ]; then
    echo "error: still missing after the installation: $still" >&2
    exit 1
  fi
}
