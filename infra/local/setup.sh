#!/usr/bin/env bash
# Install the given environments, once per content of their lock files: uv, env, cloud, node, web, browser, bench, vm.
#   infra/local/setup.sh env cloud node web browser bench vm
# Needs Python 3.11+ with pip or venv; everything else comes from the lock files.
set -euo pipefail
cd "$(dirname "$0")/../.."
home=.crosshaul
mkdir -p "$home"
export UV_LINK_MODE=${UV_LINK_MODE:-copy}

say() { printf '\033[2m· %s\033[0m\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# current NAME FILE…: succeed if NAME was made from these files.
digest() { cat "${@:2}" "$0" | sha256sum | cut -d' ' -f1; }
current() { [ "$(cat "$home/$1.stamp" 2>/dev/null)" = "$(digest "$@")" ]; }
made() { digest "$@" > "$home/$1.stamp"; }

python=$(command -v python3 || true)
[ -n "$python" ] || die "python3 is missing: install Python 3.11 or newer"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$("$python" -V) is too old: Python 3.11 or newer is needed"

make_uv() {
  [ -x "$(cat "$home/uv.path" 2>/dev/null)" ] && return
  if "$python" -m pip --version >/dev/null 2>&1; then
    say "installing uv"
    "$python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps \
      --upgrade --target "$home/uv" --require-hashes -r locks/uv.txt
    echo "$PWD/$home/uv/bin/uv" > "$home/uv.path"
  elif "$python" -m venv "$home/uv" >/dev/null 2>&1; then
    say "installing uv"
    "$home/uv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r locks/uv.txt
    echo "$PWD/$home/uv/bin/uv" > "$home/uv.path"
  elif command -v uv >/dev/null; then
    command -v uv > "$home/uv.path"
  elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing python3-venv"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; } > "$home/venv.log" 2>&1 ||
      die "apt-get could not install python3-venv: see $home/venv.log"
    rm -rf "$home/uv"
    make_uv
  else
    die "python3 has neither pip nor venv: apt-get install python3-venv"
  fi
}

# environment DIR LOCK: install exactly the packages of the lock file, with bytecode.
environment() {
  local uv; make_uv; uv=$(cat "$home/uv.path")
  say "installing ${1#"$home/"} from $2"
  [ -x "$1/bin/python" ] || "$uv" venv --quiet --python "$python" "$1"
  "$uv" pip sync --quiet --require-hashes --compile-bytecode --python "$1/bin/python" "$2"
}

make_env() {
  current env locks/dev.txt pyproject.toml && return
  environment "$home/env" locks/dev.txt
  "$(cat "$home/uv.path")" pip install --quiet --no-deps --no-build-isolation --editable . --python "$home/env/bin/python"
  leave_out_httpx_command
  made env locks/dev.txt pyproject.toml
}

# httpx also imports its own command line, and with it click, rich and pygments, where these are installed. On hosts
# click is not; here it would be a sixth of the time that each command of ours takes to start.
leave_out_httpx_command() {
  local packages; packages=$("$home/env/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  echo 'import sys; sys.modules["httpx._main"] = None' > "$packages/without_httpx_command.pth"
}

make_cloud() {
  current cloud locks/cloud.txt && return
  environment "$home/cloud-env" locks/cloud.txt
  made cloud locks/cloud.txt
}

make_node() {
  make_node_itself
  make_cdk
}

make_node_itself() {
  current node locks/node.txt && [ -x "$(cat "$home/node.path" 2>/dev/null)" ] && return
  local found; found=$(command -v node || true)
  if [ -n "$found" ] && command -v npm >/dev/null &&
    "$found" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)'
  then
    echo "$found" > "$home/node.path"
  else
    environment "$home/node-env" locks/node.txt
    echo "$PWD/$home/node-env/bin/node" > "$home/node.path"
  fi
  made node locks/node.txt
}

# The CDK command line, in the version of infra/local/package-lock.json.
make_cdk() {
  local here=infra/local
  current cdk "$here/package.json" "$here/package-lock.json" && [ -d "$home/cdk/node_modules" ] && return
  say "installing the CDK command line"
  mkdir -p "$home/cdk"
  cp "$here/package.json" "$here/package-lock.json" "$home/cdk/"
  with_node npm ci --prefix "$home/cdk" --no-audit --no-fund --loglevel error >&2
  made cdk "$here/package.json" "$here/package-lock.json"
}

# The console: install packages once per lock file, build web/dist once per source.
make_web() {
  local sources; mapfile -t sources < <(find web/src web/public web/index.html web/vite.config.ts web/tsconfig.json -type f | LC_ALL=C sort)
  if ! current web-packages web/package.json web/package-lock.json web/.npmrc || [ ! -d web/node_modules ]; then
    say "installing the console's packages"
    with_node npm ci --prefix web --no-audit --no-fund --loglevel error >&2
    made web-packages web/package.json web/package-lock.json web/.npmrc
  fi
  current web web/package-lock.json "${sources[@]}" && [ -f web/dist/index.html ] && return
  say "building the console"
  with_node npm run --silent --prefix web build -- --logLevel error >&2
  made web web/package-lock.json "${sources[@]}"
}

with_node() { PATH="$(dirname "$(cat "$home/node.path")"):$PATH" "$@"; }

make_browser() {
  command -v chromium >/dev/null || command -v google-chrome >/dev/null || {
    say "installing Chromium"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } > "$home/browser.log" 2>&1 ||
        die "apt-get could not install chromium: see $home/browser.log"
    else
      "$home/env/bin/playwright" install chromium > "$home/browser.log" 2>&1 ||
        die "Chromium is missing and could not be downloaded: install the package 'chromium' (see $home/browser.log)"
    fi
  }
}

# The tools that the benchmark compares the lane with, from Debian. Missing ones are left out of the table.
make_bench() { of_debian bench rsync:rsync sshd:openssh-server ssh:openssh-client syncthing:syncthing aria2c:aria2; }

# What makes and runs virtual machines, from Debian. `python -m tests.vm` says what is missing.
make_vm() { of_debian vm qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap mkfs.ext4:e2fsprogs ssh:openssh-client; }

# of_debian NAME PROGRAM:PACKAGE…: install the packages of the programs that are missing, or name them.
of_debian() {
  local missing=() pair
  for pair in "${@:2}"; do
    PATH="$PATH:/usr/sbin" command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing ${missing[*]}"
    { apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}"; } > "$home/$1.log" 2>&1 ||
      say "apt-get could not install all of them: see $home/$1.log; missing tools are left out"
  else
    say "left out because they are not installed: ${missing[*]} (as root: apt-get install ${missing[*]})"
  fi
}

# What npm installs needs nothing of what uv installs: both at once. The browser may need the environment.
parts() { local part; for part in "${@:2}"; do [[ " $1 " != *" $part "* ]] || "make_$part"; done; }
make_uv
parts "env cloud" "$@" & python_parts=$!
parts "node web" "$@"
wait "$python_parts"
parts "browser bench vm" "$@"
