"""No secret leaks while files move from S3, and over the lane through the relay bucket."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.local import cloud as embedded
from infra.local.demo_files import MIB, write_random
from infra.local.environment import until
from tests.e2e.conftest import ENDED, Fleet

pytestmark = pytest.mark.e2e

ACCESS_KEY_ID = re.compile(rb"ASIA[A-Z0-9]{16}")
"""Pattern of temporary access key ids, which must not be written anywhere."""
LOOPBACK = b"AWS_CONTAINER_AUTHORIZATION_TOKEN="
"""Variable with the token for an agent's loopback port, valid only for its child while that lives."""


def secrets(fleet: Fleet) -> dict[str, bytes]:
    """Return secrets by description; of a key each line, since one line is enough to leak it."""
    found = {"password": fleet.here.password.encode(), "id token": (fleet.api.token or "").encode()}
    for name in fleet.servers:
        found[f"{name}'s API key"] = fleet.api_key(name).encode()
        for key in ("device.key", "lane.key"):
            found[f"{name}'s {key}"] = (fleet.keys(name) / key).read_bytes().splitlines()[1]
    session = fleet.here.operator.home / "session.json"
    kept = json.loads(session.read_text()) if session.exists() else {}
    found |= {f"session's {name}": str(value).encode() for name, value in kept.items() if "token" in name}
    return found


def descendants(pid: int) -> Iterator[int]:
    """Yield all descendants of a process, including those started by threads."""
    for told in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            for child in told.read_text().split():
                yield int(child)
                yield from descendants(int(child))


def shown_by(pid: int) -> dict[str, bytes]:
    """Return a process's command line and environment, without its loopback token."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    kept = b"\n".join(one for one in environment if not one.startswith(LOOPBACK))
    return {f"command line of {pid}": line, f"environment of {pid}": kept}


def processes(fleet: Fleet) -> dict[str, bytes]:
    shown = {}
    for name in fleet.servers:
        agent = fleet.agent(name).process.pid
        for pid in (agent, *descendants(agent)):
            shown |= shown_by(pid)
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            shown[str(line)] = line.read_bytes()
        except OSError:
            continue
    return shown


def written(fleet: Fleet, transfers: list[str]) -> dict[str, bytes]:
    """Return all that was written: logs of agents, functions and operator, reports, and the audit log."""
    found = {f"{name}'s log": server.log.read_bytes() for name, server in fleet.servers.items()}
    found["functions' logs"] = "\n".join(function_logs(fleet)).encode()
    for transfer in transfers:
        found[f"transfer {transfer}"] = json.dumps(fleet.transfer(transfer)).encode()
    found["audit"] = json.dumps(fleet.api.get("/audit?limit=200")).encode()
    found["agents"] = json.dumps(fleet.api.get("/agents")).encode()
    for name, server in fleet.servers.items():
        if (server.state / "status.json").exists():
            found[f"{name}'s status"] = (server.state / "status.json").read_bytes()
    return found


def function_logs(fleet: Fleet) -> Iterator[str]:
    logs: Any = boto3.client("logs", **embedded.client_settings(fleet.here.cloud))
    for group in logs.describe_log_groups()["logGroups"]:
        for event in logs.filter_log_events(logGroupName=group["logGroupName"]).get("events", []):
            yield event["message"]


def given_away(places: dict[str, bytes], known: dict[str, bytes]) -> list[str]:
    told = [
        f"{what} in {where}"
        for where, text in places.items()
        for what, secret in known.items()
        if secret in text
    ]
    return told + [
        f"a temporary key in {where}" for where, text in places.items() if ACCESS_KEY_ID.search(text)
    ]


def test_no_secret_is_in_logs_reports_or_process_lists(fleet: Fleet) -> None:
    s3 = fleet.s3()
    bucket = fleet.here.outputs.bucket
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"film/{number}", Body=bytes([number]) * MIB)
    write_random(fleet.folder("server-b:/data/guarded") / "film", 3 * MIB)
    known = secrets(fleet)
    assert all(len(secret) > 16 for secret in known.values())
    seen: list[str] = []
    rclone = set()
    with fleet.walled("server-b"), fleet.walled("server-c"):
        slowly = {"relay": "allowed", "bandwidth_limit": 256 * 1024}
        transfers = [
            fleet.copy(f"s3://{bucket}/film/", "server-b:/primary/film/", **slowly),
            fleet.copy("server-b:/data/guarded/", "server-c:/archive/guarded/", **slowly),
        ]

        def ended() -> bool:
            shown = processes(fleet)
            rclone.update(where for where, text in shown.items() if "line of" in where and b"rclone" in text)
            seen.extend(given_away(shown, known))
            return {fleet.transfer(one)["state"] for one in transfers} <= ENDED

        until("both films to have arrived", ended, interval_s=0.05)
    assert {fleet.transfer(one)["state"] for one in transfers} == {"succeeded"}
    assert rclone, "it was looked at while it ran"
    assert seen == []
    places = written(fleet, transfers)
    assert all(places.values())
    assert given_away(places, known) == []


def test_what_is_looked_for_would_be_found() -> None:
    known = {"password": b"Look-only-7-times-and-more"}
    assert given_away({"a log": b"password=Look-only-7-times-and-more"}, known) == ["password in a log"]
    assert given_away({"a log": b"AWS_ACCESS_KEY_ID=ASIAABCDEFGHIJKLMNOP"}, known) == [
        "a temporary key in a log"
    ]
