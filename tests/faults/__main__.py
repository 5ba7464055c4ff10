"""Run seeds of the fault campaign.

    python -m tests.faults [--first SEED] [--seeds COUNT] [--home DIR]

Without --first, the first seed is random. Prints each seed and what was found; exits with 1 if anything was.
"""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from infra.local.environment import running_environment
from tests.faults.campaign import Campaign
from tests.faults.schedule import Schedule


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--first", type=int, help="first seed; default: random")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument(
        "--home", type=Path, help="where to run; kept afterwards; default: a temporary directory"
    )
    asked = parser.parse_args()
    first = secrets.randbelow(2**31) if asked.first is None else asked.first
    failed = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running_environment(asked.home or Path(folder)) as here,
        Campaign.running(here) as campaign,
    ):
        for seed in range(first, first + asked.seeds):
            begun = time.monotonic()
            try:
                campaign.run(seed)
            except (AssertionError, TimeoutError) as error:
                failed.append(seed)
                print(f"seed {seed}: {error}\n{Schedule.of(seed)}", flush=True)
            else:
                faults = ", ".join(event.fault for event in Schedule.of(seed).events)
                print(f"seed {seed}: held in {time.monotonic() - begun:.1f} s ({faults})", flush=True)
    print(f"{asked.seeds - len(failed)} of {asked.seeds} seeds held; failed: {failed or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
