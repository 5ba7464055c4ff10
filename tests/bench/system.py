"""Measure the whole system on the embedded cloud: latency, chain streaming and agents' memory.

Latency to the first byte is measured by a small file that is complete at its destination, so a bit later than
the byte itself. Each time starts before the request is sent; the first of each kind is reported separately,
because functions start cold. In a chain each hop has a bandwidth limit, like networks between sites: without
one, both hops would only compete for one machine's CPU.
"""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3

from infra.local import cloud as embedded
from infra.local.environment import Environment, running_environment, until
from infra.local.servers import Server
from tests.bench.measuring import peak_of
from tests.bench.workloads import ARCHIVE, MIB, write
from tests.e2e.api import SignedInApi

SERVERS = {
    "server-b": {"/data": "rw", "/primary": "rw"},
    "server-c": {"/archive": "rw"},
    "server-d": {"/backup": "rw"},
}
SIZE = 64 * 1024
LINKS, LINK = 96, 4 * MIB
HOP_LIMIT = 32 * MIB
"""Bandwidth limit of each hop of a chain, in bytes per second."""
TIMEOUT_S = 60.0
ENDED = {"succeeded", "failed", "partially_failed", "cancelled"}
TEMPLATE = {"name": "bench", "shape": "chain", "destinations": ["server-b:/primary/"]}


@dataclass(frozen=True)
class Latency:
    """Latencies of one kind of request, in seconds."""

    name: str
    goal: float
    cold: float
    warm: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.warm)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "goal": self.goal,
            "cold": self.cold,
            "median": self.median,
            "warm": self.warm,
        }


@dataclass(frozen=True)
class Chains:
    """Seconds of a chain from S3 over server-b to server-d, streamed file by file or hop by hop.

    `bytes` in `files`; `limit` is each hop's bandwidth in bytes per second.
    """

    bytes: int
    files: int
    limit: int
    streamed: list[float]
    whole: list[float]

    @property
    def saved(self) -> float:
        """Share of the time that streaming saves: 0.5 is half."""
        return 1 - statistics.median(self.streamed) / statistics.median(self.whole)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"saved": self.saved}


@dataclass(frozen=True)
class SystemResult:
    """Latencies, chains, and peak memory of each agent in bytes, including a tree like a video archive."""

    latencies: list[Latency]
    chains: Chains
    memory: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        latencies = [one.as_json() for one in self.latencies]
        return {"latencies": latencies, "chains": self.chains.as_json(), "memory": self.memory}


def measure(home: Path, repeat: int, scale: float) -> SystemResult:
    """Run all measurements.

    Raises:
        TimeoutError: A file did not arrive.
    """
    with running_environment(home) as here:
        servers = here.start_servers(SERVERS)
        api = SignedInApi.signed_in(here, here.user, here.password)
        by_api = _repeated(repeat, lambda number: _by_api(api, servers, number))
        by_upload = _repeated(repeat, _uploads(here, api, servers))
        chains = _chains(here, api, repeat, scale)
        _move_archive(api, servers, scale)
        memory = {name: peak_of(agent.process.pid) for name, agent in here.agents.items()}
    return SystemResult(
        [
            Latency("POST /transfers to the first byte at server-c", 0.7, by_api[0], by_api[1:]),
            Latency("S3 upload to the first byte at server-b", 1.2, by_upload[0], by_upload[1:]),
        ],
        chains,
        memory,
    )


def _repeated(repeat: int, once: Callable[[int], float]) -> list[float]:
    return [once(number) for number in range(repeat + 1)]


def _by_api(api: SignedInApi, servers: dict[str, Server], number: int) -> float:
    write(servers["server-b"].path(f"/data/{number}/one"), SIZE)
    began = time.monotonic()
    asked = _copy(api, f"server-b:/data/{number}/", f"server-c:/archive/{number}/")
    seconds = _arrival(servers["server-c"].path(f"/archive/{number}/one")) - began
    _until_ended(api, asked)
    return seconds


def _uploads(here: Environment, api: SignedInApi, servers: dict[str, Server]) -> Callable[[int], float]:
    bucket = here.outputs.bucket
    s3 = boto3.client("s3", **embedded.client_settings(here.cloud))
    api.post("/templates", TEMPLATE | {"trigger": {"bucket": bucket, "prefix": "bench/"}})

    def upload(number: int) -> float:
        began = time.monotonic()
        s3.put_object(Bucket=bucket, Key=f"bench/{number}", Body=os.urandom(SIZE))
        return _arrival(servers["server-b"].path(f"/primary/{number}")) - began

    return upload


def _chains(here: Environment, api: SignedInApi, repeat: int, scale: float) -> Chains:
    bucket, files = here.outputs.bucket, max(4, round(LINKS * scale))
    s3 = boto3.client("s3", **embedded.client_settings(here.cloud))
    for number in range(files):
        s3.put_object(Bucket=bucket, Key=f"chain/take {number:02}.mxf", Body=os.urandom(LINK))

    def seconds(number: int, chain: str) -> float:
        places = [f"server-b:/primary/{chain}-{number}/", f"server-d:/backup/{chain}-{number}/"]
        began = time.monotonic()
        asked = _create_transfer(
            api, f"s3://{bucket}/chain/", places, "chain", chain=chain, bandwidth_limit=HOP_LIMIT
        )
        _until_ended(api, asked, timeout_s=600)
        return time.monotonic() - began

    turns = [(seconds(number, "stream"), seconds(number, "whole")) for number in range(repeat)]
    streamed, whole = map(list, zip(*turns, strict=True))
    return Chains(files * LINK, files, HOP_LIMIT, streamed, whole)


def _move_archive(api: SignedInApi, servers: dict[str, Server], scale: float) -> None:
    ARCHIVE.make(servers["server-b"].path("/data/tree"), scale)
    _until_ended(api, _copy(api, "server-b:/data/tree/", "server-c:/archive/tree/"), timeout_s=600)


def _copy(api: SignedInApi, source: str, destination: str) -> str:
    return _create_transfer(api, source, [destination], "fan_out")


def _create_transfer(
    api: SignedInApi, source: str, destinations: list[str], shape: str, **options: object
) -> str:
    body = {"source": source, "destinations": destinations, "shape": shape, "options": options}
    return str(api.post("/transfers", body)["transfer_id"])


def _arrival(path: Path) -> float:
    """Wait for the file and return when it was complete."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        now = time.monotonic()
        with suppress(FileNotFoundError):
            if path.stat().st_size == SIZE:
                return now
        if now > deadline:
            raise TimeoutError(f"{path.name} had not arrived after {TIMEOUT_S:.0f} s")
        time.sleep(0.002)


def _until_ended(api: SignedInApi, transfer_id: str, timeout_s: float = TIMEOUT_S) -> None:
    def state() -> str | None:
        found = str(api.get(f"/transfers/{transfer_id}")["state"])
        return found if found in ENDED else None

    ended = until(f"{transfer_id} to end", state, timeout_s)
    if ended != "succeeded":
        raise AssertionError(f"{transfer_id} {ended}")
