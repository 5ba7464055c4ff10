"""Whatever fails while files move, everything arrives or is named, and nothing is left half-done."""

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.local.environment import Environment
from tests.faults.campaign import Campaign

pytestmark = pytest.mark.e2e

FAILED_SEEDS = Path(__file__).parents[1] / "faults/failed_seeds.txt"
KEPT = [
    int(line.split()[0])
    for line in FAILED_SEEDS.read_text().splitlines()
    if line.strip() and not line.startswith("#")
]
NEW = int(os.environ.get("FAULT_SEEDS", "20"))
"""Seeds that nobody has run before."""


@dataclass(frozen=True)
class Trial:
    seed: int
    outcome: "Future[str]"


@pytest.fixture(scope="module")
def campaign(here: Environment) -> Iterator[Campaign]:
    with Campaign.running(here) as running:
        yield running


@pytest.fixture(scope="module")
def trials(campaign: Campaign, request: pytest.FixtureRequest) -> dict[str, Trial]:
    """Start the trials of all selected tests, of which several run at once."""
    started = {}
    for test in request.session.items:
        if isinstance(test, pytest.Function) and test.path == Path(__file__) and hasattr(test, "callspec"):
            seed = test.callspec.params.get("seed", secrets.randbelow(2**31))
            started[test.nodeid] = Trial(seed, campaign.start(seed))
    return started


@pytest.mark.parametrize("seed", KEPT)
def test_what_once_failed_holds(trials: dict[str, Trial], request: pytest.FixtureRequest, seed: int) -> None:
    assert trials[request.node.nodeid].seed == seed
    trials[request.node.nodeid].outcome.result()


@pytest.mark.parametrize("number", range(NEW))
def test_a_new_seed_holds(trials: dict[str, Trial], request: pytest.FixtureRequest, number: int) -> None:
    trial = trials[request.node.nodeid]
    try:
        trial.outcome.result()
    except BaseException as error:
        error.add_note(f"seed {trial.seed}: add it to tests/faults/failed_seeds.txt")
        raise


def test_the_audit_has_everything_that_the_trials_did(campaign: Campaign, trials: dict[str, Trial]) -> None:
    for trial in trials.values():
        trial.outcome.exception()
    campaign.verify_audit()
