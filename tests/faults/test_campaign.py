"""Whatever fails while files move, everything arrives or is named, and nothing is left half-done."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.environment import running_environment
from tests.faults.campaign import Campaign

pytestmark = pytest.mark.e2e

KEPT = [
    int(line.split()[0])
    for line in (Path(__file__).parent / "failed_seeds.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]
NEW = int(os.environ.get("FAULT_SEEDS", "20"))
"""Seeds that nobody has run before."""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    with running_environment(tmp_path_factory.mktemp("faults")) as here, Campaign.running(here) as running:
        yield running


@pytest.mark.parametrize("seed", KEPT)
def test_what_once_failed_holds(campaign: Campaign, seed: int) -> None:
    campaign.run(seed)


@pytest.mark.parametrize("number", range(NEW))
def test_a_new_seed_holds(campaign: Campaign, number: int) -> None:
    seed = secrets.randbelow(2**31)
    try:
        campaign.run(seed)
    except BaseException as error:
        error.add_note(f"seed {seed}: add it to tests/faults/failed_seeds.txt")
        raise
