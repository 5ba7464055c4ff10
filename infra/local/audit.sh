#!/usr/bin/env bash
# Ask PyPI and npm for known vulnerabilities of everything in the lock files. Needs the network.
#   audit.sh [--if-reachable]
# Exit with 1 if there are any, else with 2 if a source did not answer; --if-reachable: then with 0, for CI.
set -uo pipefail
unanswered=2
[ "${1:-}" != --if-reachable ] || unanswered=0
cd "$(dirname "$0")/../.."
infra/local/setup.sh env node_itself
answer=$(mktemp -d)
trap 'rm -rf "$answer"' EXIT
found=0

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
unreachable() {
  printf 'audit: %s could not be reached, so %s was not checked. Check the network.\n' "$1" "$2" >&2
  sed 's/^/  /' "$answer/said" | tail -3 >&2
  [ $found = 1 ] || found=2
}

for lock in locks/agent.txt locks/lambdas.txt locks/dev.txt locks/cloud.txt locks/node.txt; do
  say "$lock"
  .crosshaul/env/bin/pip-audit --disable-pip --require-hashes --progress-spinner off -r "$lock" \
    > "$answer/table" 2> "$answer/said"
  status=$?
  if grep 'could not be audited' "$answer/table" >> "$answer/said"; then
    unreachable PyPI "$lock" # the tool succeeds even without an answer
  elif [ $status = 0 ]; then
    echo "no known vulnerabilities"
  elif [ -s "$answer/table" ]; then
    cat "$answer/table"
    found=1
  else
    unreachable PyPI "$lock"
  fi
done

for folder in web infra/local; do
  say "$folder/package-lock.json"
  PATH="$(dirname "$(cat .crosshaul/node.path)"):$PATH" npm audit --prefix "$folder" --package-lock-only \
    > "$answer/table" 2> "$answer/said"
  status=$?
  if grep -qE 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|audit endpoint|ENOAUDIT|npm error' "$answer/said" "$answer/table"; then
    unreachable npm "$folder"
  else
    cat "$answer/table"
    [ $status = 0 ] || found=1
  fi
done
if [ $found = 2 ]; then
  echo "audit: nothing was found, but not everything was checked: a source did not answer" >&2
  exit $unanswered
fi
exit $found
