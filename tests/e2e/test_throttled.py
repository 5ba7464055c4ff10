"""AWS throttles two per cent of all calls of the functions: nothing is lost, and nothing is doubled."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from infra.local.demo_files import differences, listing, write_random
from infra.local.environment import until
from tests.e2e.api import ApiRefusal
from tests.e2e.conftest import ENDED, Fleet

pytestmark = pytest.mark.e2e

T = TypeVar("T")

SHARE, SEED = 0.02, 20261129
TRANSFERS = 10


@contextmanager
def throttled(fleet: Fleet) -> Iterator[Path]:
    """Throttle the functions' calls, and yield the log of those that were."""
    file = fleet.here.cloud.throttling
    log = file.with_name(f"{file.name}.log")
    log.unlink(missing_ok=True)
    print(f"share {SHARE}, seed {SEED}")
    file.write_text(json.dumps({"share": SHARE, "seed": SEED}))
    try:
        yield log
    finally:
        file.unlink()


def persistently(ask: Callable[[], T]) -> T:
    """Repeat a request that fails within the control plane, as clients do; a POST has one key for all."""
    answers: list[T] = []

    def asked() -> bool:
        try:
            answers.append(ask())
        except ApiRefusal as refusal:
            if refusal.status < 500:
                raise
        return bool(answers)

    until("an answer", asked)
    return answers[0]


def upload(fleet: Fleet, name: str, folder: Path) -> dict[str, str]:
    """Upload what starts the template; return the listing."""
    s3 = fleet.s3()
    for number in range(5):
        write_random(folder / f"{number}.mov", 4096)
        s3.upload_file(str(folder / f"{number}.mov"), fleet.here.outputs.bucket, f"{name}/{number}.mov")
    return listing(folder)


def test_throttled_calls_lose_nothing_and_double_nothing(fleet: Fleet, tmp_path: Path) -> None:
    trees = [f"videos/throttled-{number}" for number in range(TRANSFERS)]
    for tree in trees:
        for number in range(3):
            write_random(fleet.folder(f"server-b:/data/{tree}") / f"{number}.mov", 4096)
    template = {
        "name": "throttled",
        "trigger": {"bucket": fleet.here.outputs.bucket, "prefix": "throttled/"},
        "destinations": ["server-c:/archive/throttled-template/"],
    }
    fleet.api.put("/templates/throttled", template)

    with throttled(fleet) as log:
        uploaded = upload(fleet, "throttled", tmp_path)
        asked = [requested(fleet, tree) for tree in trees]
        ended = [ended_transfer(fleet, one) for one in asked]
        automatic = until("what was uploaded", lambda: by_template(fleet))
        throttles = Counter(line.rpartition(" ")[0] for line in log.read_text().splitlines())

    print(f"throttled: {dict(throttles)}")
    assert any(call.startswith("dynamodb ") for call in throttles), "the hook does not work in functions"
    assert [one["state"] for one in (*ended, *automatic)] == ["succeeded"] * (TRANSFERS + len(automatic))
    for tree in trees:
        assert (
            differences(
                listing(fleet.folder(f"server-b:/data/{tree}")),
                listing(fleet.folder(f"server-c:/archive/{tree}")),
            )
            == []
        ), tree
    assert differences(uploaded, listing(fleet.folder("server-c:/archive/throttled-template"))) == []

    assert len(set(asked)) == TRANSFERS
    everything = fleet.api.get("/transfers?limit=200")["transfers"]
    ours = [one for one in everything if "/archive/videos/throttled-" in json.dumps(one["destinations"])]
    assert sorted(one["transfer_id"] for one in ours) == sorted(asked), "a repeated request made a second one"
    assert sum(one["selection_count"] for one in automatic) == len(uploaded), (
        "an object started two transfers"
    )
    for one in (*ended, *automatic):
        told = Counter(entry["state"] for entry in one["timeline"] if entry["hop_id"])
        assert told["succeeded"] == len(one["hops"]), one["timeline"]
        records = fleet.api.get(f"/audit?transfer_id={one['transfer_id']}")["records"]
        actions = [record["action"] for record in records]
        assert actions.count("transfer.requested") == 1, records


def requested(fleet: Fleet, tree: str) -> str:
    body = {"source": f"server-b:/data/{tree}/", "destinations": [f"server-c:/archive/{tree}/"]}
    key = str(uuid.uuid4())
    return str(persistently(lambda: fleet.api.post("/transfers", body, key))["transfer_id"])


def ended_transfer(fleet: Fleet, transfer_id: str) -> dict[str, Any]:
    def ask() -> dict[str, Any] | None:
        found = persistently(lambda: fleet.transfer(transfer_id))
        return found if found["state"] in ENDED else None

    return until(f"{transfer_id} to end", ask)


def by_template(fleet: Fleet) -> list[dict[str, Any]]:
    """Return the template's transfers once all objects are in one, and all have ended."""
    listed = persistently(lambda: fleet.api.get("/transfers"))["transfers"]
    found = [one for one in listed if one["template_id"] == "throttled"]
    if sum(one["selection_count"] for one in found) < 5:
        return []
    return [ended_transfer(fleet, one["transfer_id"]) for one in found]
