"""Test hops through the relay bucket, for agents that cannot dial each other: real rclone, embedded S3."""

import asyncio
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.files.digests import RANGE_BYTES
from agent.lane.limits import LaneLimits
from agent.lane.peer_paths import PeerPath
from agent.lane.relay.bucket import RelayBucket
from events.commands import Move, Relay
from events.views import CredentialsView
from infra.local.demo_files import MIB, differences, listing, write_random
from tests.support.hosts import Hosts, closed_port, with_lane_limits
from tests.support.issued_keys import IssuedKeys
from tests.support.network_proxy import NetworkProxy
from tests.support.s3_front import EXPIRED, ErrorAnswer, S3Front
from tests.support.waiting import HANG_TIMEOUT_S, until

BUCKET = "relay"
RELAYED = PeerPath(dialed=False, relayed=True)


class RelayedHosts(Hosts):
    """server-b and server-c, which cannot dial each other, and a bucket between them."""

    def __init__(self, folder: Path, cloud: Any, lane_limits: LaneLimits) -> None:
        self.url = cloud.url
        self.issued = IssuedKeys("FIRST", "SECOND", "THIRD")
        self.relay_allowed = True
        super().__init__(folder, "neither", lane_limits)
        self.s3 = cloud.client("s3")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def order(self, source: str, destination: str, **options: Any) -> Move:
        """Return a hop with a prefix of its own in the bucket, if it may be relayed."""
        place = f"{secrets.token_hex(8)}/"
        relay = Relay(bucket=BUCKET, prefix=place, region="eu-central-1", endpoint=self.url)
        self.relay = relay if self.relay_allowed else None
        return super().order(source, destination, **options)

    def credentials(self, hop_id: str, /, refused: CredentialsView | None = None) -> CredentialsView:
        return self.issued(hop_id, refused)

    def objects(self) -> dict[str, bytes]:
        found = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {one["Key"]: self._object(one["Key"]) for one in found}

    def _object(self, key: str) -> bytes:
        try:
            return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        except self.s3.exceptions.NoSuchKey:
            return b""

    async def restart_source(self) -> None:
        """Kill the source's agent and start it again."""
        await asyncio.to_thread(self.server.shut_down)
        self.server = self.source_server()
        self.server.listen()


LIMITS = LaneLimits(
    dial_timeout_s=0.5, handshake_timeout_s=HANG_TIMEOUT_S, relay_answer_timeout_s=HANG_TIMEOUT_S
)


@pytest.fixture
def lane_limits() -> LaneLimits:
    return LIMITS


@pytest.fixture
def hosts(tmp_path, cloud, lane_limits) -> Iterator[RelayedHosts]:
    made = RelayedHosts(tmp_path, cloud, lane_limits)
    yield made
    made.close()


async def bucket_is_empty(hosts: RelayedHosts) -> None:
    await until(lambda: not hosts.objects())


class TestRelayedHop:
    async def test_arrives_and_leaves_the_bucket_empty(self, hosts):
        for number in range(300):
            write_random(hosts.data / f"small/{number:03} ü.bin", number * 50)
        write_random(hosts.data / "big.bin", RANGE_BYTES + 5 * MIB)
        (hosts.data / "empty").mkdir()
        (hosts.data / "link").symlink_to("big.bin")
        order = hosts.order("/data/", "/archive/")

        await hosts.move(order)

        assert hosts.observer.connections == ["relay"]
        assert differences(listing(hosts.data), listing(hosts.archive)) == []
        assert hosts.server.peer_paths.recall("server-c") == RELAYED
        assert hosts.destination_server.peer_paths.recall("server-b") == RELAYED
        hosts.release(order)
        await bucket_is_empty(hosts)

    async def test_shows_the_bucket_neither_names_nor_content(self, hosts, monkeypatch):
        words = b"the wages of everyone " * 100_000
        (hosts.data / "wages.csv").write_bytes(words)
        original, seen = RelayBucket.put, []

        def recording_put(self: RelayBucket, name: str, data: bytes) -> None:
            original(self, name, data)
            seen.extend(hosts.objects().items())

        monkeypatch.setattr(RelayBucket, "put", recording_put)
        order = hosts.order("/data/", "/archive/", streams=1)
        await hosts.move(order)
        assert (hosts.archive / "wages.csv").read_bytes() == words
        assert max(len(data) for _, data in seen) > MIB
        for key, data in seen:
            prefix, connection, number = key.split("/")
            assert (f"{prefix}/", len(connection), number[0] in "abg") == (order.route.relay.prefix, 17, True)
            assert b"wages" not in data
            assert b"POST /" not in data

    async def test_what_is_changed_in_the_bucket_is_not_taken(self, hosts, monkeypatch):
        """The bucket's owner changes one object: the connection ends, and another one is used."""
        write_random(hosts.data / "big.bin", RANGE_BYTES)
        original, changed = RelayBucket.get, []

        def corrupting_get(self: RelayBucket, name: str) -> bytes | None:
            data = original(self, name)
            if data and len(data) > MIB and not changed:
                changed.append(name)
                return data[:-1] + bytes([data[-1] ^ 1])
            return data

        monkeypatch.setattr(RelayBucket, "get", corrupting_get)
        await hosts.move(hosts.order("/data/big.bin", "/archive/big.bin", streams=1))
        assert len(changed) == 1
        assert (hosts.archive / "big.bin").read_bytes() == (hosts.data / "big.bin").read_bytes()

    async def test_resumes_within_a_file(self, hosts):
        write_random(hosts.data / "big.bin", 3 * RANGE_BYTES)
        order = hosts.order("/data/big.bin", "/archive/big.bin", streams=1)
        await hosts.moves_until(order, lambda progress: progress.bytes_done >= RANGE_BYTES)

        await hosts.move(order)

        assert hosts.progress_counter.bytes_moved <= 2 * RANGE_BYTES
        assert (hosts.archive / "big.bin").read_bytes() == (hosts.data / "big.bin").read_bytes()

    async def test_moves_and_mirrors_too(self, hosts):
        hosts.open_source()
        write_random(hosts.data / "x/1", 10)
        await hosts.move(hosts.order("/data/x/", "/archive/x/", move=True))
        assert list((hosts.data / "x").iterdir()) == []
        write_random(hosts.data / "y/2", 10)
        await hosts.move(hosts.order("/data/y/", "/archive/x/", delete_extra=True))
        assert [path.name for path in (hosts.archive / "x").iterdir()] == ["2"]


class TestPathChange:
    async def test_a_restarted_source_drops_old_connections_and_accepts_new_ones(self, hosts):
        write_random(hosts.data / "big.bin", 3 * RANGE_BYTES)
        order = hosts.order("/data/big.bin", "/archive/big.bin", streams=1)
        async with hosts.held(order, lambda progress: progress.bytes_done >= RANGE_BYTES) as moving:
            await hosts.restart_source()
            hosts.serve(order.hop_id, "/data/big.bin")
        await moving

        assert hosts.observer.connections[0] == hosts.observer.connections[-1] == "relay"
        assert (hosts.archive / "big.bin").read_bytes() == (hosts.data / "big.bin").read_bytes()
        assert hosts.progress_counter.bytes_moved <= 4 * RANGE_BYTES
        hosts.release(order)
        await bucket_is_empty(hosts)

    @pytest.mark.parametrize(
        "refusal", [EXPIRED, ErrorAnswer(403, "InvalidAccessKeyId")], ids=lambda one: one.code
    )
    async def test_credentials_that_s3_no_longer_accepts_are_replaced_in_the_middle(self, hosts, refusal):
        """A role whose sessions are revoked: HEAD of the next object is refused as if it did not exist."""
        first, revoked = hosts.issued.key_ids[0], threading.Event()
        front = S3Front(
            hosts.url, lambda _method, _key, signed: refusal if revoked.is_set() and first in signed else None
        )
        hosts.url = front.url
        write_random(hosts.data / "big.bin", 2 * RANGE_BYTES)
        order = hosts.order("/data/big.bin", "/archive/big.bin", streams=1)
        try:
            async with hosts.held(order, lambda progress: progress.bytes_done >= RANGE_BYTES) as moving:
                revoked.set()
            await moving
            assert hosts.issued.key_ids == ["SECOND", "THIRD"]
            assert (hosts.archive / "big.bin").read_bytes() == (hosts.data / "big.bin").read_bytes()
            hosts.release(order)
            await bucket_is_empty(hosts)
        finally:
            front.close()

    async def test_from_direct_to_relay_sends_nothing_twice(self, hosts):
        line = NetworkProxy(hosts.server.port, "from target")
        hosts.b_endpoints = (line.endpoint,)
        write_random(hosts.data / "big.bin", 4 * RANGE_BYTES)
        order = hosts.order("/data/big.bin", "/archive/big.bin", streams=1)
        async with hosts.held(order, lambda progress: progress.bytes_done >= RANGE_BYTES) as moving:
            line.down()
        await moving

        assert hosts.observer.connections == [f"direct, server-c dialed {line.endpoint}", "relay"]
        assert hosts.progress_counter.bytes_moved <= 5 * RANGE_BYTES
        assert (hosts.archive / "big.bin").read_bytes() == (hosts.data / "big.bin").read_bytes()
        line.close()

    async def test_from_relay_to_direct_sends_nothing_twice(self, hosts):
        write_random(hosts.data / "big.bin", 3 * RANGE_BYTES)
        order = hosts.order("/data/big.bin", "/archive/big.bin", streams=1)
        await hosts.moves_until(order, lambda progress: progress.bytes_done >= RANGE_BYTES)
        assert hosts.observer.connections == ["relay"]

        line = NetworkProxy(hosts.server.port, "from target")
        way = order.route.model_copy(update={"endpoints": (line.endpoint,)})
        await hosts.move(order.model_copy(update={"route": way}))

        assert hosts.observer.connections == [f"direct, server-c dialed {line.endpoint}"]
        assert line.passed < 2.1 * RANGE_BYTES
        line.close()


class TestKilledDestination:
    """It ends none of its connections, and a bucket does not notice that a client has gone."""

    def connect_and_die(self, hosts: RelayedHosts, order: Move) -> None:
        """Connect to the source, then disappear."""
        source = hosts.mover(order)._make_source()
        client = source._relay.connect()
        source._relay._bucket.close()
        client.close()
        source._connector.close()

    async def test_leaves_nothing_behind_after_its_restart(self, hosts):
        write_random(hosts.data / "x", 10)
        order = hosts.order("/data/x", "/archive/x")
        await asyncio.to_thread(self.connect_and_die, hosts, order)
        listener = hosts.server._relay_listeners[order.hop_id]
        [old] = listener._tunnels.values()
        assert old.is_alive

        await hosts.move(order)

        assert hosts.observer.connections == ["relay"]
        await until(lambda: not old.is_alive)
        hosts.release(order)
        await bucket_is_empty(hosts)

    async def test_leaves_nothing_behind_after_a_new_attempt_or_the_end(self, hosts):
        write_random(hosts.data / "x", 10)
        order = hosts.order("/data/x", "/archive/x")
        await asyncio.to_thread(self.connect_and_die, hosts, order)
        [old] = hosts.server._relay_listeners[order.hop_id]._tunnels.values()

        hosts.serve(order.hop_id, "/data/x")
        assert old.is_alive, "the same offer once more"
        hosts.serve(order.hop_id, "/data/x", attempt=2)

        await until(lambda: not old.is_alive)
        assert hosts.objects() != {}
        hosts.release(order)
        await bucket_is_empty(hosts)


class TestRelayedLastTime:
    @with_lane_limits(**vars(LIMITS) | {"dial_timeout_s": 3600})
    async def test_uses_the_relay_at_once(self, hosts):
        """Neither side waits for a direct connection: the hop ends long before the search for one."""
        write_random(hosts.data / "x", 10)
        hosts.server.peer_paths.remember("server-c", RELAYED)
        hosts.destination_server.peer_paths.remember("server-b", RELAYED)
        order = hosts.order("/data/x", "/archive/x")

        await hosts.move(order)

        assert hosts.observer.connections == ["relay"]
        assert (hosts.archive / "x").read_bytes() == (hosts.data / "x").read_bytes()
        hosts.release(order)

    @with_lane_limits(**vars(LIMITS) | {"dial_timeout_s": HANG_TIMEOUT_S})
    async def test_connects_directly_once_that_works(self, hosts):
        write_random(hosts.data / "x", 10)
        hosts.destination_server.peer_paths.remember("server-b", RELAYED)
        line = NetworkProxy(hosts.server.port, "from target")
        hosts.b_endpoints = (line.endpoint,)

        await hosts.move(hosts.order("/data/x", "/archive/x"))

        await until(
            lambda: hosts.destination_server.peer_paths.recall("server-b") == PeerPath(True, line.endpoint)
        )
        await hosts.move(hosts.order("/data/x", "/archive/again"))
        assert hosts.observer.connections == [f"direct, server-c dialed {line.endpoint}"]
        line.close()

    @with_lane_limits(**vars(LIMITS) | {"dial_timeout_s": HANG_TIMEOUT_S})
    async def test_connects_directly_without_the_bucket(self, hosts):
        write_random(hosts.data / "x", 10)
        hosts.destination_server.peer_paths.remember("server-b", RELAYED)
        line = NetworkProxy(hosts.server.port, "from target")
        hosts.b_endpoints = (line.endpoint,)
        order = hosts.order("/data/x", "/archive/x")
        gone = order.route.relay.model_copy(update={"endpoint": f"http://{closed_port()}"})
        route = order.route.model_copy(update={"relay": gone})

        await hosts.move(order.model_copy(update={"route": route}))

        assert hosts.observer.connections == [f"direct, server-c dialed {line.endpoint}"]
        line.close()


class TestRelayFailure:
    async def test_without_permission_names_the_addresses_and_writes_nothing(self, hosts):
        hosts.relay_allowed = False
        write_random(hosts.data / "x", 10)
        error = await hosts.fails(hosts.order("/data/x", "/archive/"))
        assert f"{hosts.b_endpoints[0]}: connection refused" in error.problem.message
        assert "relay" not in error.problem.message
        assert hosts.objects() == {}

    @with_lane_limits(**vars(LIMITS) | {"relay_answer_timeout_s": 1.0})
    async def test_without_an_answer_is_named_after_all_addresses(self, hosts):
        write_random(hosts.data / "x", 10)
        order = hosts.order("/data/x", "/archive/")
        hosts.release(order)
        error = await hosts.fails(order)
        assert f"{hosts.b_endpoints[0]}: connection refused" in error.problem.message
        assert "; relay: no answer in time" in error.problem.message
        assert error.problem.retryable
