"""An agent moves to a new address of the API once the API has answered there, and never before."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from agent.backoff import Backoff
from agent.command_keys import CommandKeys
from agent.errors import HostError
from agent.identity.api_address import REPEAT_INTERVAL_S, ApiAddress, answering_stage
from agent.identity.registration import Files, read_registration
from events.commands import Trust
from tests.support.fakes_agent import Signer, a_registration, trust
from tests.support.waiting import until

SIGNER = Signer()
OLD, NEW = a_registration(SIGNER).api_url, "https://api.example.com"
STAGE = a_registration(SIGNER).stage


class MovedHost:
    """A registered host; `answers` says which stage answers at an address."""

    def __init__(self, folder):
        self.files = Files(folder)
        self.files.registration_file.write_text(a_registration(SIGNER).model_dump_json())
        self.answers: dict[str, str] = {}
        self.asked: list[str] = []
        self.now = 0.0

    def stage_at(self, url: str) -> str:
        self.asked.append(url)
        if url not in self.answers:
            raise HostError("no API answers there", "")
        return self.answers[url]

    @property
    def saved(self) -> str:
        return read_registration(self.files).api_url

    @asynccontextmanager
    async def running(self):
        address = ApiAddress(
            read_registration(self.files),
            self.files,
            self.stage_at,
            lambda: self.now,
            Backoff(first_s=0.01, max_s=0.01),
        )
        task = asyncio.create_task(address.relocate_when_asked())
        try:
            yield address
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
def host(tmp_path) -> MovedHost:
    return MovedHost(tmp_path)


async def test_an_agent_moves_as_soon_as_the_new_address_answers(host):
    async with host.running() as address:
        with address.client() as client:
            address.request(NEW)
            await until(lambda: len(host.asked) > 2)
            assert (address.url, host.saved) == (OLD, OLD), "it keeps the old one"
            assert [problem.code for problem in address.problems()] == ["api-address-kept"]
            host.answers[NEW] = STAGE
            await until(lambda: address.url == NEW)
            assert host.saved == NEW
            assert str(client.base_url).rstrip("/") == NEW, "work that is under way follows"
            assert address.problems() == ()
    async with host.running() as restarted:
        assert restarted.url == NEW


async def test_the_api_of_another_stage_is_not_taken_for_its_own(host):
    host.answers[NEW] = "another"
    async with host.running() as address:
        address.request(NEW)
        await until(lambda: len(host.asked) > 2)
        assert (address.url, host.saved) == (OLD, OLD)
        assert "stage another" in address.problems()[0].message


async def test_it_goes_back_when_the_control_plane_does(host):
    host.answers = {NEW: STAGE, OLD: STAGE}
    async with host.running() as address:
        address.request(NEW)
        await until(lambda: address.url == NEW)
        address.request(OLD)
        await until(lambda: address.url == OLD)
        assert host.saved == OLD


async def test_an_order_to_stay_ends_the_attempts(host):
    async with host.running() as address:
        address.request(NEW)
        await until(lambda: host.asked)
        address.request(OLD)
        await until(lambda: address.problems() == ())
        before = len(host.asked)
        host.answers[NEW] = STAGE
        await asyncio.sleep(0)
        assert address.url == OLD
        assert len(host.asked) <= before + 1


async def test_a_disk_that_is_full_keeps_the_old_address(host, monkeypatch):
    host.answers[NEW] = STAGE

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agent.identity.registration.atomic_write", full)
    async with host.running() as address:
        address.request(NEW)
        await until(lambda: len(host.asked) > 1)
        assert address.url == OLD
        assert "No space left" in address.problems()[0].message


async def test_new_keys_and_a_new_address_do_not_undo_each_other(host):
    second = Signer("key-2")
    keys = CommandKeys(read_registration(host.files), host.files, host.files.folder / "agent.toml")
    host.answers[NEW] = STAGE
    async with host.running() as address:
        address.request(NEW)
        await until(lambda: address.url == NEW)
        claims, token = keys.verifier.verify(SIGNER.envelope(trust(SIGNER, second)))
        assert isinstance(claims.command, Trust)
        keys.replace(claims.command, token)
        assert host.saved == NEW
        address.request(OLD)
        host.answers[OLD] = STAGE
        await until(lambda: address.url == OLD)
    assert len(read_registration(host.files).verification_keys) == 2


async def test_a_damaged_record_is_written_again(host):
    host.answers[NEW] = STAGE
    async with host.running() as address:
        host.files.registration_file.write_text("{")
        address.request(NEW)
        await until(lambda: address.url == NEW)
    assert host.saved == NEW


async def test_the_address_is_reported_hourly_and_when_it_changes(host):
    async with host.running() as address:
        assert (address.changed(), address.changed()) == (OLD, None)
        host.now = REPEAT_INTERVAL_S
        assert (address.changed(), address.changed()) == (OLD, None)
        address.url = "https://" + "x" * 400
        assert address.changed() is None, "it would make the heartbeat invalid"


@pytest.fixture
def serve() -> Iterator[Callable[[int, object], str]]:
    """Yield a way to serve one answer at every path of a new address on loopback."""
    servers: list[ThreadingHTTPServer] = []

    def serve(status: int, body: object) -> str:
        class AddressHandler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/health" else 404)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), AddressHandler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_only_an_api_answers_with_its_stage(serve):
    sign_in = {"region": "eu-central-1", "user_pool_id": "p", "client_id": "c", "endpoint": None}
    health = {"status": "ok", "stage": "prod", "version": "1", "wire": 1, "sign_in": sign_in}
    assert answering_stage(serve(200, health)) == "prod"
    for status, body in ((200, {"hello": "world"}), (503, health), (404, {})):
        with pytest.raises(HostError, match="no API answers there"):
            answering_stage(serve(status, body))
    with pytest.raises(HostError, match="https://"):
        answering_stage("http://api.example.com")
    with pytest.raises(HostError, match="no API answers there"):
        answering_stage("http://127.0.0.1:1")
