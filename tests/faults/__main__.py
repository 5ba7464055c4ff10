"""Run seeds of the fault campaign.

    python -m tests.faults [--first SEED] [--seeds COUNT] [--teams COUNT] [--home DIR] [--only WORD]
                           [--minutes MINUTES]

Without --first, the first seed is random. Prints each seed and what was found; exits with 1 if anything was.
"""

import argparse
import secrets
import sys
import tempfile
import time
import traceback
from concurrent.futures import as_completed
from pathlib import Path

from infra.local.environment import running_environment
from tests.faults.campaign import BrokenPromiseError, Campaign
from tests.faults.schedule import Schedule


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--first", type=int, help="first seed; default: random")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument(
        "--minutes", type=float, default=24 * 60, help="begin no further seed after that time"
    )
    parser.add_argument("--only", default="", help="only seeds with this word in their schedule")
    parser.add_argument("--teams", type=int, default=2, help="number of seeds that run at once")
    parser.add_argument(
        "--home", type=Path, help="where to run; kept afterwards; default: a temporary directory"
    )
    asked = parser.parse_args()
    first = secrets.randbelow(2**31) if asked.first is None else asked.first
    seeds = _seeds(first, asked.seeds, asked.only)
    held, failed, end = 0, [], time.monotonic() + 60 * asked.minutes
    with (
        tempfile.TemporaryDirectory() as folder,
        running_environment(asked.home or Path(folder)) as here,
        Campaign.running(here, asked.teams) as campaign,
    ):
        trials = {campaign.start(seed): seed for seed in seeds}
        for trial in as_completed(trials):
            seed = trials[trial]
            if time.monotonic() > end:
                for other in trials:
                    other.cancel()
            if trial.cancelled():
                continue
            if error := trial.exception():
                failed.append(seed)
                text = str(error) if isinstance(error, BrokenPromiseError) else _traceback(error)
                print(f"seed {seed}: {text}\n{Schedule.of(seed)}", flush=True)
            else:
                held += 1
                print(f"seed {seed}: held; {trial.result()}", flush=True)
        campaign.verify_audit()
    print(f"{held} of {held + len(failed)} seeds held; failed: {failed or 'none'}")
    return bool(failed)


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _seeds(first: int, count: int, word: str) -> list[int]:
    """Return the first seeds from `first` on whose schedule has this word."""
    found: list[int] = []
    while len(found) < count:
        if word in str(Schedule.of(first)):
            found.append(first)
        first += 1
    return found


if __name__ == "__main__":
    sys.exit(main())
