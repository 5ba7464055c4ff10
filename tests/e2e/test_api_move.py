"""The API moves to another address while agents work: each follows once it answers there, and goes back."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from agent.problems import API_ADDRESS_KEPT, COMMAND_NOT_TRUSTED
from events.commands import Relocate
from events.topics import Topics
from infra.local import cloud as embedded
from infra.local.demo_files import MIB, differences, listing, write_random
from infra.local.environment import until
from tests.e2e.conftest import Fleet
from tests.support.connect_proxy import relay
from tests.support.fakes_agent import Signer
from tests.support.loopback_server import ConnectionServer

pytestmark = pytest.mark.e2e

NAME = "server-d"
SLOW = MIB // 2


class Front(ConnectionServer):
    """Another address of the API. Until it is `open`, it takes connections and answers none."""

    def __init__(self, api_url: str) -> None:
        parts = urlsplit(api_url)
        self._upstream = str(parts.hostname), int(parts.port or 80)
        self.is_open = False
        self.answered = 0
        super().__init__()
        self.url = parts._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if not self.is_open:
                return
            with socket.create_connection(self._upstream) as server:
                self.answered += 1
                relay(client, server)


@contextmanager
def moved(fleet: Fleet, now: str, former: str) -> Iterator[None]:
    """Let the control plane take one address of the API for its own, and another for a former one."""
    client = boto3.client("lambda", **embedded.client_settings(fleet.here.cloud))
    pages = client.get_paginator("list_functions").paginate()
    [function] = [
        one for page in pages for one in page["Functions"] if one["Handler"] == "lambdas.on_report.handler"
    ]
    name, was = function["FunctionName"], function["Environment"]["Variables"]
    changed = {**was, "CROSSHAUL_API_URL": now, "CROSSHAUL_FORMER_API_URLS": former}
    client.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": was})


def saved(fleet: Fleet) -> str:
    record = json.loads((fleet.servers[NAME].state / "registration.json").read_text())
    return str(record["api_url"])


def problems(fleet: Fleet) -> list[Any]:
    return [one["code"] for one in fleet.api.get(f"/agents/{NAME}")["problems"]]


def test_agents_follow_the_api_to_another_address_and_back(fleet: Fleet) -> None:
    """The control plane was deployed with another address; an agent finds out at its next start."""
    old, work = fleet.here.outputs.api_url, fleet.folder("server-b:/data/api-moves")
    write_random(work / "big.bin", 12 * MIB)
    with Front(old) as front:
        moving = fleet.copy("server-b:/data/api-moves/", f"{NAME}:/backup/api-moves/", bandwidth_limit=SLOW)
        fleet.until_moving(moving, f"{NAME}:/backup/api-moves")
        with moved(fleet, now=front.url, former=old):
            fleet.agent(NAME).stop()
            fleet.start(NAME)
            until("the new address not to answer", lambda: API_ADDRESS_KEPT.code in problems(fleet))
            assert saved(fleet) == old

            thief = Signer("key-9").envelope(Relocate(api_url="http://127.0.0.1:1"), aud=NAME)
            topics = Topics(fleet.here.stage)
            fleet.here.client("iot-data").publish(
                topic=topics.commands(topics.thing(NAME)), qos=1, payload=thief
            )
            log = fleet.servers[NAME].log
            until("the forged order to be refused", lambda: COMMAND_NOT_TRUSTED.code in log.read_text())
            assert saved(fleet) == old

            fleet.agent(NAME).kill()  # what it was asked to do is in its memory only
            front.is_open = True
            fleet.start(NAME)
            until("the agent to move", lambda: saved(fleet) == front.url)
            until("no problem", lambda: not problems(fleet))
        ended = fleet.until_ended(moving)
        assert ended["state"] == "succeeded", ended["problem"]
        assert differences(listing(work), listing(fleet.folder(f"{NAME}:/backup/api-moves"))) == []

        had = front.answered
        fleet.s3().put_object(Bucket=fleet.here.outputs.bucket, Key="api-moves/a", Body=b"a")
        from_s3 = fleet.copy(f"s3://{fleet.here.outputs.bucket}/api-moves/", f"{NAME}:/backup/from-s3/")
        assert fleet.until_ended(from_s3)["state"] == "succeeded"
        assert front.answered > had, "its credentials came from the new address"

        with moved(fleet, now=old, former=front.url):
            fleet.agent(NAME).stop()
            fleet.start(NAME)
            until("the agent to be back", lambda: saved(fleet) == old)
