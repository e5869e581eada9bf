#!/bin/sh
# Makes a Debian machine a node of Orama WebRTC, from the release beside it. "sh install.sh --help" says how.
set -eu

HERE=$(dirname "$(readlink -f "$0")")
CURRENT=/opt/orama
UNITS=/etc/systemd/system
LINK=/usr/local/bin/orama
ETC=/etc/orama
DATA=/var/lib/orama
OWNER=orama
# Names the release before, from the moment that an upgrade has begun until it is over.
UPGRADING=/opt/.orama-upgrading
NEEDED_MB=700
READY_SEC=90

usage() {
  cat <<'END'
Usage: sh install.sh install [--tarball <file>] [init|join <options>]
       sh install.sh upgrade [--tarball <file>]
       sh install.sh uninstall [--purge [--force]]

install    puts the release on this machine: programs in /opt/orama, units of systemd, the user orama, "orama" in the PATH.
           With "init" or "join" it then makes the machine a node: "orama node init" or "orama node join" with those options.
upgrade    switches to the release beside this file and starts again what is different in it; goes back to the release
           before when the node is not ready within 90 s. Calls on a TURN server or SFU that is started again reconnect.
           To cut none, run "orama node drain <node>" before and "orama node resume <node>" afterwards.
uninstall  takes the programs and units away; --purge also the node's membership, data, configuration and user. A node that
           its cluster does not let go (drain it first) stays whole; with --force it goes without asking.

Each may be run twice, and again after it was interrupted.

  --tarball <file>  the release (default: orama-webrtc-*-linux-x64.tar.gz beside this file)

Examples:
  sh install.sh install init --base-domain example.com
  sh install.sh install join --token-file <file>
  sh install.sh upgrade --tarball /root/orama-webrtc-0.2.0-linux-x64.tar.gz
  sh install.sh uninstall --purge
END
}

say() { echo "$*" >&2; }
die() {
  say "error: $1"
  [ $# -lt 2 ] || say "next: $2"
  exit 1
}

check_root() { [ "$(id -u)" = 0 ] || die 'this needs root' "sudo sh $0 $COMMAND"; }

check_machine() {
  check_root
  [ -d /run/systemd/system ] || die 'systemd does not run this machine'
  # One at a time. The lock goes with this process.
  exec 9>/run/orama-install.lock
  flock -n 9 || die 'another install.sh is at work' 'wait for it to end'
}

check_debian() {
  [ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] || die "this release is for Linux on x86_64, not $(uname -s) on $(uname -m)"
  # shellcheck disable=SC1091
  id_and_version=$(. /etc/os-release && echo "${ID:-} ${VERSION_ID:-0}")
  case $id_and_version in
    'debian '*) [ "${id_and_version#* }" -ge 12 ] || die "this needs Debian 12 or newer, not ${id_and_version#* }" ;;
    *) die "this needs Debian 12 or newer, not $id_and_version" ;;
  esac
  if [ -f /var/lib/dpkg/info/orama-webrtc.list ]; then
    die 'Orama WebRTC is here as a Debian package' 'apt-get install ./orama-webrtc_<version>_amd64.deb, or apt-get remove orama-webrtc first'
  fi
  [ ! -e $CURRENT ] || [ -L $CURRENT ] || die "$CURRENT is there and is none of ours" 'move it away'
  install -d /opt
  free_mb=$(df --output=avail --block-size=1M /opt | tail -n 1)
  [ "$free_mb" -ge $NEEDED_MB ] || die "/opt has $free_mb MB left, and $NEEDED_MB are needed"
}

# Programs of Debian that a node needs. Nothing is fetched where they are there.
install_packages() {
  missing=
  command -v ip >/dev/null || missing="$missing iproute2"
  # A network that is trusted as it is needs no WireGuard.
  case " $* " in *' --trusted-network '*) ;; *)
    command -v wg >/dev/null || missing="$missing wireguard-tools"
    if [ ! -d /sys/module/wireguard ] && ! modprobe wireguard 2>/dev/null; then
      command -v wireguard-go >/dev/null || missing="$missing wireguard-go"
    fi
  esac
  [ -n "$missing" ] || return 0
  say "installing$missing"
  # shellcheck disable=SC2086 # a list of words
  if ! { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $missing; } >&2; then
    die "these Debian packages are needed and cannot be installed:$missing" "install them, then run this again"
  fi
}

# The user of the services, and the folders that are not of a release.
prepare() {
  getent group $OWNER >/dev/null || groupadd --system $OWNER
  getent passwd $OWNER >/dev/null ||
    useradd --system --gid $OWNER --home-dir $DATA --no-create-home --shell /usr/sbin/nologin $OWNER
  install -d -m 0755 $ETC
  for folder in '' /configs /run /rqlite /store; do install -d -m 0700 -o $OWNER -g $OWNER "$DATA$folder"; done
}

# Unpacks the release beside where it is to be; RELEASE names it.
unpack() {
  rm -rf /opt/.orama-new.*
  new=/opt/.orama-new.$$
  trap 'rm -rf $new' EXIT
  mkdir -m 0755 $new
  if [ -z "$TARBALL" ] && [ -f "$HERE/../RELEASE" ]; then
    cp -a "$HERE/../." $new
  else
    [ -n "$TARBALL" ] || TARBALL=$(find_tarball)
    [ -f "$TARBALL" ] || die "there is no $TARBALL"
    verify "$TARBALL"
    tar -xzf "$TARBALL" --strip-components=1 --no-same-owner -C $new || die "$TARBALL cannot be unpacked" 'fetch it again'
  fi
  [ -f $new/RELEASE ] || die "${TARBALL:-$HERE/..} is no release of Orama WebRTC"
  chown -R 0:0 $new
  RELEASE=$(release_name $new)
  [ -n "$RELEASE" ] || die "the file RELEASE of ${TARBALL:-$HERE/..} names no release" 'fetch it again'
}

# Gives what is unpacked the folder of its own in /opt, whole or not at all.
keep_unpacked() {
  # All of it is on the disk before it has its name.
  sync -f $new
  if [ -d "/opt/$RELEASE" ]; then rm -rf $new; else mv -T $new "/opt/$RELEASE"; fi
}

find_tarball() {
  set -- "$HERE"/orama-webrtc-*-linux-x64.tar.gz
  [ $# = 1 ] || die "several releases are beside $0" 'name one: --tarball <file>'
  [ -f "$1" ] || die "no orama-webrtc-<version>-linux-x64.tar.gz is beside $0" 'name it: --tarball <file>'
  echo "$1"
}

verify() {
  sums=$(dirname "$1")/SHA256SUMS
  [ -f "$sums" ] || return 0
  (cd "$(dirname "$1")" && grep " $(basename "$1")\$" SHA256SUMS | sha256sum --check --quiet -) >&2 ||
    die "$1 is not what SHA256SUMS says" 'fetch it again'
}

# orama-<version>-<build> of an unpacked release.
release_name() {
  sed -n 's/^ORAMA_VERSION=\([0-9A-Za-z.+-]*\)$/orama-\1/p; s/^ORAMA_BUILD=\([0-9a-f]*\)$/-\1/p' "$1/RELEASE" | tr -d '\n'
}

# The release that /opt/orama leads to; empty where there is none.
current_release() { readlink $CURRENT 2>/dev/null || true; }

# Leads /opt/orama to a release, at one instant.
switch_to() {
  ln -sfn "$1" "/opt/.orama-link.$$"
  mv -T "/opt/.orama-link.$$" $CURRENT
}

# Unit files of a release, as paths below its systemd/.
units_of() { (cd "$1/systemd" && find . -type f ! -name README.md | sed 's|^\./||'); }

# Makes our units those of the release, and takes away those that only the one before had.
install_units() {
  release=/opt/$1
  for file in $(units_of "$release"); do
    install -d "$UNITS/$(dirname "$file")"
    cmp -s "$release/systemd/$file" "$UNITS/$file" || {
      install -m 0644 "$release/systemd/$file" "$UNITS/$file.new"
      mv "$UNITS/$file.new" "$UNITS/$file"
    }
  done
  if [ -n "${2:-}" ] && [ -d "/opt/$2/systemd" ]; then
    for file in $(units_of "/opt/$2"); do [ -e "$release/systemd/$file" ] || rm -f "$UNITS/$file"; done
  fi
  systemctl daemon-reload
}

is_node() { [ -f $ETC/controlplane.yaml ]; }

# Whether it is a node, or was to become one by an init or join that was cut off.
is_begun() { is_node || [ -e $ETC/cluster.key ] || grep -qs '^# Made by "orama node"' /etc/wireguard/*.conf; }

# Our services that run.
running_units() {
  systemctl list-units --plain --no-legend --state=active,activating,reloading 'orama-*.service' | cut -d ' ' -f 1
}

# Whether something that a unit runs is other in one release than in another.
differs() {
  case $1 in
    orama-turn.*) parts=cmd/turn ;;
    orama-namespace-sfu@*) parts=cmd/sfu ;;
    orama-namespace-turn@*) parts=cmd/orama ;;
    orama-gateway.*) parts='cmd/gateway packages/store packages/call-page' ;;
    *) parts='cmd/controlplane packages/store' ;;
  esac
  parts="$parts bin/node node_modules"
  case $1 in orama-rqlited.*) parts=bin/rqlited ;; esac
  file=$(echo "$1" | sed 's/@.*\./@./')
  for part in $parts "systemd/$file" systemd/orama-.service.d; do
    # A package.json has the version, which alone is no reason.
    diff -rq --no-dereference --exclude=package.json "/opt/$2/$part" "/opt/$3/$part" >/dev/null 2>&1 || return 0
  done
  return 1
}

restart_unit() {
  say "starting $1 again"
  case $1 in
    # Stopped in order it would detach its namespace and cut its calls. systemd starts it again.
    orama-namespace-turn@*) systemctl kill --signal=KILL "$1" || true ;;
    *) systemctl restart "$1" ;;
  esac
}

# Starts again what runs and is other in the new release, the controlplane first: it looks after the others.
restart_changed() {
  for unit in $(running_units | sort); do
    if differs "$unit" "$1" "$2"; then restart_unit "$unit" || return 1; fi
  done
  systemctl start orama.target
}

# The node's own services that run: not all do, on a node that is drained.
running_core_units() { running_units | grep -E '^orama-(controlplane|gateway|rqlited|turn)\.' || true; }

# Whether these units run and the controlplane says that all is well, within READY_SEC.
becomes_ready() {
  deadline=$(($(date +%s) + READY_SEC))
  until [ "$(systemctl show --property=StatusText --value orama-controlplane.service)" = ok ] && all_active "$@"; do
    [ "$(date +%s)" -lt $deadline ] || return 1
    sleep 0.2
  done
}

all_active() {
  for unit in "$@"; do systemctl --quiet is-active "$unit" || return 1; done
}

# Removes releases that are neither the current one nor run by anybody.
remove_old_releases() {
  for folder in /opt/orama-*-*; do
    [ -d "$folder" ] && [ -f "$folder/RELEASE" ] || continue
    [ "${folder#/opt/}" != "$(current_release)" ] || continue
    readlink /proc/[0-9]*/exe 2>/dev/null | grep -q "^$folder/" || rm -rf "$folder"
  done
}

install_command() {
  check_debian
  if [ -e $LINK ] || [ -L $LINK ]; then
    [ "$(readlink $LINK)" = $CURRENT/bin/orama ] || die "$LINK is there and is none of ours" 'move it away'
  fi
  install_packages "$@"
  before=$(current_release)
  unpack
  if [ -n "$before" ] && [ "$before" != "$RELEASE" ]; then
    die "$before is installed here" "sh $0 upgrade"
  fi
  keep_unpacked
  prepare
  switch_to "$RELEASE"
  install_units "$RELEASE"
  install -d "$(dirname $LINK)"
  ln -sfn $CURRENT/bin/orama $LINK
  say "$RELEASE is installed"
  if [ $# -gt 0 ]; then
    exec 9>&-
    exec $CURRENT/bin/orama node "$@"
  elif is_node; then
    systemctl enable --quiet orama.target
    systemctl start orama.target
  else
    say 'next: orama node init --base-domain <name>, or orama node join --token-file <file>'
  fi
}

upgrade_command() {
  check_debian
  before=$(current_release)
  [ -n "$before" ] || die 'nothing is installed here' "sh $0 install"
  unpack
  keep_unpacked
  if [ -f $UPGRADING ]; then before=$(cat $UPGRADING); fi
  prepare
  echo "$before" >$UPGRADING.new
  mv $UPGRADING.new $UPGRADING
  core=$(running_core_units)
  switch_to "$RELEASE"
  install_units "$RELEASE" "$before"
  # shellcheck disable=SC2086 # a list of words
  if is_node && ! { restart_changed "$before" "$RELEASE" && becomes_ready $core; }; then
    say "$RELEASE does not become ready: going back to $before"
    systemctl status --no-pager --lines=5 orama-controlplane.service >&2 || true
    switch_to "$before"
    install_units "$before" "$RELEASE"
    restart_changed "$RELEASE" "$before" || true
    # shellcheck disable=SC2086 # a list of words
    if becomes_ready $core; then after='which runs again'; else after='which does not run either: journalctl -u orama-controlplane'; fi
    rm -f $UPGRADING
    die "$RELEASE did not become ready; this is $before again, $after" 'journalctl -u orama-controlplane, and orama store backup before trying again'
  fi
  rm -f $UPGRADING
  remove_old_releases
  if [ "$before" = "$RELEASE" ]; then say "$RELEASE is installed already"; else say "$before is $RELEASE now"; fi
}

# A node that goes without its cluster's word takes a vote of the store with it, and may end the store by that.
leave_cluster() {
  # What leaves the cluster, and takes the WireGuard interface away, is a part of what is uninstalled.
  [ -x $CURRENT/bin/orama ] || die 'this machine is a node still, without its programs' "sh $0 install, then this again"
  node=$(sed -n 's/^node: *//p' $ETC/controlplane.yaml 2>/dev/null || true)
  if [ -z "$FORCE" ]; then
    $CURRENT/bin/orama node leave >&2 || die 'this machine is a node still; it stays installed' \
      "what is said above; or, whatever becomes of the cluster: sh $0 uninstall --purge --force"
    return
  fi
  $CURRENT/bin/orama node leave --force >&2 || die 'this machine is a node still; it stays installed' 'what is said above'
  [ -z "$node" ] || say "where its cluster goes on, it has $node still; on another node: orama node remove $node --force"
}

uninstall_command() {
  if [ -f /var/lib/dpkg/info/orama-webrtc.list ]; then
    die 'Orama WebRTC is here as a Debian package' 'apt-get remove orama-webrtc, or apt-get purge'
  fi
  [ -z "$PURGE" ] || ! is_begun || leave_cluster
  # First, as it starts again what ends.
  systemctl stop orama-controlplane.service 2>/dev/null || true
  systemctl disable --quiet --now orama.target 2>/dev/null || true
  for unit in $(systemctl list-units --all --plain --no-legend 'orama-*.service' | cut -d ' ' -f 1); do
    systemctl stop "$unit" 2>/dev/null || true
  done
  rm -rf $UNITS/orama-*.service $UNITS/orama-.service.d $UNITS/orama.target $UNITS/orama.slice $UNITS/orama.target.wants \
    $UNITS/*.wants/orama.target /run/systemd/system/orama-*.service.d /run/orama
  [ -z "$PURGE" ] || rm -rf $UNITS/orama-*.service.d
  systemctl daemon-reload
  systemctl reset-failed 'orama-*' 2>/dev/null || true
  systemctl stop orama.slice 2>/dev/null || true
  [ "$(readlink $LINK || true)" != $CURRENT/bin/orama ] || rm -f $LINK
  if [ -n "$PURGE" ]; then
    rm -rf $ETC $DATA $DATA-dns
    if getent passwd $OWNER >/dev/null; then userdel $OWNER; fi
    if getent group $OWNER >/dev/null; then groupdel $OWNER; fi
  fi
  rm -rf $CURRENT /opt/.orama-*
  for folder in /opt/orama-*-*; do [ ! -f "$folder/RELEASE" ] || rm -rf "$folder"; done
  rm -f /run/orama-install.lock
  [ -n "$PURGE" ] || [ ! -d $ETC ] || say "kept: $ETC, $DATA, the user $OWNER, and of a node its WireGuard interface and its rules in the firewall; install, then uninstall --purge takes them away"
}

# One that does not start again keeps no other from it.
restart_command() {
  systemctl daemon-reload
  failed=
  for unit in $(running_units | sort); do restart_unit "$unit" || failed="$failed $unit"; done
  [ -z "$failed" ] || die "these do not start again:$failed" 'journalctl -u <each of them>, then dpkg --configure -a'
}

stop_command() {
  systemctl stop orama-controlplane.service
  systemctl disable --quiet --now orama.target
  for unit in $(running_units); do systemctl stop "$unit"; done
}

COMMAND=${1:-}
[ $# = 0 ] || shift
case $COMMAND in -h | --help | help) usage && exit 0 ;; '') usage >&2 && exit 2 ;; esac

TARBALL=
PURGE=
FORCE=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --tarball)
      [ $# -ge 2 ] || die '--tarball needs a file'
      TARBALL=$(readlink -f "$2") || die "there is no $2"
      shift 2
      ;;
    --purge) PURGE=yes && shift ;;
    --force) FORCE=yes && shift ;;
    init | join) break ;;
    *) die "\"$1\" means nothing here" "sh $0 --help" ;;
  esac
done
[ $# = 0 ] || [ "$COMMAND" = install ] || die "\"$1\" belongs to install" "sh $0 --help"
[ -z "$PURGE" ] || [ "$COMMAND" = uninstall ] || die '--purge belongs to uninstall' "sh $0 --help"
[ -z "$FORCE" ] || [ -n "$PURGE" ] || die '--force belongs to uninstall --purge' "sh $0 --help"

case $COMMAND in
  install) check_machine && install_command "$@" ;;
  upgrade) check_machine && upgrade_command ;;
  uninstall) check_machine && uninstall_command ;;
  # What the Debian package does with them.
  prepare) check_root && prepare ;;
  restart) check_machine && restart_command ;;
  stop) check_machine && stop_command ;;
  *) die "\"$COMMAND\" is no command of this" "sh $0 --help" ;;
esac
