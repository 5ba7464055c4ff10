"""A host's keys are replaced while its agent works, and it recovers from a kill at any moment."""

import asyncio
import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from agent.cloud.messages import Connected
from agent.hops.journal import Journal
from agent.hops.record import on_move
from agent.identity.keys import Generation, Keyring
from tests.support.fakes_agent import FakeLink, move
from tests.support.fakes_keys import QUICK, Authority, register, rotation
from tests.support.hosts import Hosts
from tests.support.waiting import until


class KilledAgent(BaseException):
    """Ends the process like a power cut."""


class RotatingHost:
    """A host with a control plane and a broker that share their knowledge of certificates."""

    def __init__(self, folder):
        self.folder, self.authority = folder / "state", Authority()
        self.ring = register(self.folder, self.authority)
        self.first = self.ring.current.fingerprint

    @asynccontextmanager
    async def running(self, **options):
        """Run the agent's part that concerns keys: a Hello at every connect. Yields its rotation."""
        link = self.link = FakeLink()
        link.accepts_certificate = lambda certificate: certificate in self.authority.good
        key_rotation = rotation(self.folder, link, self.authority, **options)

        async def send_hellos():
            async for event in link.events():
                if isinstance(event, Connected) and event.certificate in self.authority.good:
                    self.authority.hello(event.certificate)
                    key_rotation.confirm(event.certificate)

        if link.accepts_certificate(link.certificate):
            link.up()
        tasks = [asyncio.create_task(send_hellos()), asyncio.create_task(key_rotation.rotate_when_due())]
        self.task = tasks[1]
        try:
            yield key_rotation
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    @property
    def has_settled(self):
        """Return whether there is one generation only, and the broker accepts it."""
        ring = Keyring(self.folder)
        return (
            ring.unproven is None
            and self.link.connected
            and ring.current.fingerprint == self.link.certificate
        )


@pytest.fixture
def host(tmp_path):
    return RotatingHost(tmp_path)


async def test_new_keys_replace_the_old_ones_once_they_have_worked(host):
    async with host.running() as key_rotation:
        key_rotation.request()
        await until(lambda: host.has_settled and host.ring.current.fingerprint != host.first)
        new = host.ring.current
        assert host.authority.good == [new.fingerprint]
        assert host.ring.api_keys == ("key-1",)
        assert key_rotation.lane_certificate == new.lane.certificate.read_text()
    assert not Generation(host.folder).is_whole
    assert not (host.folder / "device.key").exists()
    assert all(path.stat().st_mode & 0o077 == 0 for path in new.folder.iterdir())


async def test_old_keys_are_replaced_without_a_request(host):
    async with host.running(registered_at=datetime.now(UTC) - timedelta(days=91)):
        await until(lambda: host.has_settled and host.ring.current.fingerprint != host.first)
        requests = host.authority.asked
    async with host.running(registered_at=datetime.now(UTC) - timedelta(days=91)):
        await until(lambda: host.has_settled)
    assert host.authority.asked == requests == 1


async def test_while_the_api_is_unreachable_the_old_keys_stay(host):
    host.authority.away = True
    async with host.running() as key_rotation:
        key_rotation.request()
        await until(lambda: host.authority.asked)
        assert host.has_settled
        host.authority.away = False
        key_rotation.request()
        await until(lambda: host.ring.current.fingerprint != host.first and host.has_settled)


async def test_new_keys_that_the_broker_refuses_are_deleted(host):
    async with host.running() as key_rotation:
        host.link.accepts_certificate = lambda certificate: certificate == host.first
        key_rotation.request()
        await until(
            lambda: host.link.reconnected_with.count(host.first) == QUICK.max_attempts and host.has_settled
        )
        assert host.ring.current.fingerprint == host.first
        assert list(host.folder.glob("keys-*")) == []
        host.link.accepts_certificate = lambda certificate: certificate in host.authority.good
        key_rotation.request()
        await until(lambda: host.ring.current.fingerprint != host.first and host.has_settled)


async def test_an_unreachable_broker_only_delays_the_rotation(host):
    async with host.running() as key_rotation:
        host.link.accepts_certificate = lambda _: False
        key_rotation.request()
        await until(lambda: len(host.link.reconnected_with) >= 5)
        assert host.ring.unproven
        host.link.accepts_certificate = lambda certificate: certificate in host.authority.good
        await until(lambda: host.has_settled and host.ring.current.fingerprint != host.first)


WRITES = ("mkdir", "open", "rename", "replace", "symlink", "unlink", "rmdir", "fsync")


def kill_at(monkeypatch, step):
    """End the process at the given write to the disk; return a counter of the writes."""
    done = [0]

    def count_calls(original):
        def call(*args, **kwargs):
            if done[0] == step:
                raise KilledAgent
            done[0] += 1
            return original(*args, **kwargs)

        return call

    for name in WRITES:
        monkeypatch.setattr(os, name, count_calls(getattr(os, name)))
    return done


async def test_after_a_kill_at_any_step_the_agent_ends_with_keys_that_work(tmp_path, monkeypatch):
    step, was_killed = 0, True
    while was_killed:
        folder = tmp_path / str(step)
        folder.mkdir()
        host = RotatingHost(folder)
        async with host.running() as key_rotation:
            with monkeypatch.context() as patched:
                kill_at(patched, step)
                key_rotation.request()
                await until(
                    lambda host=host: (
                        host.task.done() or (host.has_settled and host.ring.current.fingerprint != host.first)
                    )
                )
                was_killed = host.task.done()
        if was_killed:
            assert isinstance(host.task.exception(), KilledAgent)
        async with host.running() as key_rotation:
            await until(lambda host=host: host.has_settled)
            key_rotation.request()
            before = host.ring.current.fingerprint
            await until(
                lambda host=host, before=before: host.has_settled and host.ring.current.fingerprint != before
            )
            assert host.authority.good == [host.ring.current.fingerprint]
            assert host.ring.api_keys[0] in host.authority.api_keys
        step += 1
    assert step > 15


async def test_the_journal_survives_a_new_certificate(tmp_path):
    path = tmp_path / "journal.db"
    first = Journal(path, "server-b 2026")
    first.admit("jti-1", 9)
    first.close()
    later = Journal(path, "server-b 2026")
    assert not later.admit("jti-1", 9)
    later.close()
    another = Journal(path, "server-b 2027")
    assert another.admit("jti-1", 9)
    another.close()


@pytest.mark.parametrize("dials", ["destination", "source"])
async def test_a_running_hop_keeps_its_lane_certificate(tmp_path, dials):
    hosts = Hosts(tmp_path, dials)
    try:
        old = Generation(tmp_path / "b-keys")
        (hosts.data / "a").write_text("a")
        before = hosts.order("/data/a", "/archive/before", own=old.lane_fingerprint)
        authority = Authority()
        ring = register(tmp_path / "b-keys", authority)
        ring.use(authority.renew(ring))
        ring.forget_old()
        hosts.b = ring.current.lane
        after = hosts.order("/data/a", "/archive/after", own=ring.current.lane_fingerprint)
        assert before.route.source != after.route.source
        await hosts.move(before)
        await hosts.move(after)
        assert (hosts.archive / "before").read_text() == (hosts.archive / "after").read_text() == "a"
    finally:
        hosts.close()


def test_old_lane_certificates_are_deleted_when_unused(host):
    for _ in range(2):
        host.ring.use(host.authority.renew(host.ring))
        host.authority.hello(host.ring.current.fingerprint)
        host.ring.forget_old()
    first, second, third = [generation.lane_fingerprint for generation in host.ring._all()]
    host.ring.tidy({second})
    assert host.ring.named(first) != host.ring.current.lane, "commands in transit may name it"
    later = Keyring(host.folder, old_key_retention=timedelta(0))
    later.tidy({second})
    assert host.ring.named(first) == host.ring.current.lane
    assert host.ring.named(second) != host.ring.current.lane
    assert host.ring.named(third) == host.ring.named(None) == host.ring.current.lane
    later.tidy(set())
    assert [path.name for path in host.folder.glob("keys-*")] == [host.ring.current.folder.name]


def test_the_journal_lists_the_lane_certificates_in_use(tmp_path):
    journal = Journal(tmp_path / "journal.db", "reg")
    hosts = Hosts(tmp_path)
    try:
        route = hosts.order("/data/", "/archive/").route.model_copy(update={"own_certificate": "5c" * 32})
    finally:
        hosts.close()
    journal.save_hop(on_move(None, move(route=route)))
    assert journal.own_certificates() == {"5c" * 32}
    journal.close()
