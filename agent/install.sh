#!/usr/bin/env bash
# Makes this server a Crosshaul agent, or updates one. Run as root; it can be repeated.
#
#   install.sh --package crosshaul-0.1.0-py3-none-any.whl --lock agent.txt \
#              --api https://….amazonaws.com/prod --root /data=ro --root /archive=rw
#
# --package  FILE|URL   the wheel or source archive of Crosshaul
# --lock     FILE|URL   the agent's lock file (locks/agent.txt): exact versions with their digests
# --api      URL        the control plane's API; left out: register later
# --root     PATH=ro|rw what the agent may read, or also write; needed when there is no agent.toml yet
# --listen   HOST:PORT  where other agents dial (default 0.0.0.0:4460)
# --user     NAME       the account the agent runs under (default crosshaul; made when missing)
# --prefix   DIR        put everything below DIR, and touch neither accounts nor systemd (for images)
#
# The one-time token is taken from CROSSHAUL_TOKEN, or asked for. It is never an argument.
set -euo pipefail
umask 022

package='' lock='' api='' listen=0.0.0.0:4460 user=crosshaul prefix='' roots=()
here=$(cd "$(dirname "$0")" && pwd)

say() { printf '· %s\n' "$*" >&2; }
die() { printf 'install: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0"; exit "${1:-0}"; }

while [ $# -gt 0 ]; do
  case $1 in
    --help|-h) usage ;;
    --package|--lock|--api|--root|--listen|--user|--prefix)
      [ $# -ge 2 ] || die "$1 needs a value (see --help)"
      case $1 in
        --root) roots+=("$2") ;;
        *) printf -v "${1#--}" '%s' "$2" ;;
      esac
      shift 2 ;;
    *) die "there is no option $1 (see --help)" ;;
  esac
done

opt=$prefix/opt/crosshaul etc=$prefix/etc/crosshaul state=$prefix/var/lib/crosshaul config=$prefix/etc/crosshaul/agent.toml

check() {
  [ -n "$package" ] || die "--package is missing (see --help)"
  [ -n "$lock" ] || die "--lock is missing (see --help)"
  [ -n "$prefix" ] || [ "$(id -u)" = 0 ] || die "run this as root"
  [ -n "$prefix" ] || [ -e "$here/crosshaul-agent.service" ] || die "crosshaul-agent.service must lie beside this script"
  [ -e "$config" ] || [ ${#roots[@]} -gt 0 ] || die "name at least one --root PATH=ro or --root PATH=rw"
  local root
  for root in "${roots[@]}"; do
    case $root in
      *[\"\\]*) die "--root $root: quotes and backslashes belong into $config, by hand" ;;
      /*=ro|/*=rw) ;;
      *) die "--root $root: write it as /absolute/path=ro or =rw" ;;
    esac
  done
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || die "Python 3.11 or newer is needed"
  python3 -c 'import ensurepip' 2>/dev/null || die "python3 has no venv: apt-get install python3-venv"
}

# A release is a folder of its own; `current` moves to it only when it is whole.
install_release() {
  local release; release=$opt/releases/$(date -u +%Y%m%dT%H%M%SZ)-$$
  mkdir -p "$opt/releases"
  trap 'rm -rf "$release"' EXIT
  say "installing into $release"
  python3 -m venv "$release"
  "$release/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  "$release/bin/pip" install --quiet --disable-pip-version-check --no-deps "$package"
  "$release/bin/crosshaul" --version >&2
  ln -sfn "$release" "$opt/current.new"
  mv -T "$opt/current.new" "$opt/current"
  trap - EXIT
  mkdir -p "$prefix/usr/local/bin"
  ln -sfn "$opt/current/bin/crosshaul" "$prefix/usr/local/bin/crosshaul"
  find "$opt/releases" -mindepth 1 -maxdepth 1 -type d | sort | head -n -2 | xargs -r rm -rf
}

make_account() {
  [ -z "$prefix" ] || return 0
  id "$user" >/dev/null 2>&1 || useradd --system --home-dir "$state" --shell /usr/sbin/nologin --user-group "$user"
}

write_config() {
  mkdir -p "$etc"
  [ -e "$config" ] && return
  say "writing $config"
  {
    printf 'state = "%s"\n\n[lane]\nlisten = "%s"\n' "$state" "$listen"
    local root
    for root in "${roots[@]}"; do
      printf '\n[[roots]]\npath = "%s"\naccess = "%s"\n' "${root%=*}" "${root##*=}"
    done
  } > "$config.new"
  chmod 644 "$config.new"
  mv "$config.new" "$config"
}

make_state() {
  install -d -m 700 "$state"
  [ -n "$prefix" ] || chown "$user:" "$state"
}

as_user() { if [ -n "$prefix" ]; then "$@"; else runuser -u "$user" -- "$@"; fi; }

register() {
  [ -n "$api" ] || { say "not registered yet: crosshaul agent register --api URL, as $user"; return 0; }
  [ -e "$state/registration.json" ] && { say "registered already"; return 0; }
  as_user "$opt/current/bin/crosshaul" agent register --config "$config" --api "$api"
}

start() {
  [ -z "$prefix" ] || return 0
  sed "s/^User=.*/User=$user/; s/^Group=.*/Group=$(id -gn "$user")/" "$here/crosshaul-agent.service" \
    > /etc/systemd/system/crosshaul-agent.service
  systemctl daemon-reload
  systemctl enable --quiet crosshaul-agent
  [ ! -e "$state/registration.json" ] || systemctl restart crosshaul-agent
}

check
install_release
make_account
write_config
make_state
register
start
say "done; look at it with: crosshaul agent doctor"
