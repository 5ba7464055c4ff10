#!/usr/bin/env bash
# Makes the pictures of README.md and docs/console.md: runs the console's page tests, and takes theirs.
set -euo pipefail
cd "$(dirname "$0")/../.."
infra/local/setup.sh env cloud node web browser
.crosshaul/env/bin/pytest -q tests/e2e/test_console_walk.py tests/e2e/test_console.py tests/e2e/test_console_options.py -k "every_page or overview_shows or policy_is_written"
cp web/shots/overview-moving.png docs/images/console.png
for name in transfer-light agent-dark policy-errors; do
  cp "web/shots/$name.png" "docs/images/console-$name.png"
done
