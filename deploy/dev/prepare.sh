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

prepare() {
  quietly 'installing packages' run_pnpm install --frozen-lockfile --prefer-offline
  if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 24 ? 0 : 1)'; then
    echo "error: Node 24 or newer is needed, this is $(node --version). On Linux x64 and arm64 it is installed with the packages; elsewhere install it from https://nodejs.org" >&2
    exit 1
  fi
  quietly 'building' run_pnpm run build
}
