"""Test hops to and from S3: the embedded cloud's S3, real files."""

import asyncio
import itertools
import os
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent.cloud.http import ApiProblem
from agent.config import RootConfig
from agent.errors import HopError
from agent.files.digests import RANGE_BYTES
from agent.files.listing import is_inside
from agent.files.paths import PARTIAL_PREFIX
from agent.files.roots import Roots
from agent.identity import lane_certificate
from agent.movers import mover_for
from agent.pull.limits import PullLimits
from agent.pull.mover import HopResult, HostResources
from agent.pull.progress import ProgressCounter
from events.commands import Move, S3Route
from events.locations import AgentLocation, S3Location
from events.options import Options
from events.progress import Progress
from events.views import ProblemDetails
from infra.local.demo_files import MIB, differences, listing, write_random
from tests.support.held_progress import Reached, held, pause
from tests.support.hosts import TRANSFER, RecordingObserver, closed_port
from tests.support.issued_keys import IssuedKeys
from tests.support.s3_front import ARCHIVED, EXPIRED, OTHER_KEY, Answer, ErrorAnswer, S3Front

BUCKET = "media"
CLOCK = "agent.pull.provisional_times.time.time_ns"


class S3MoverHost:
    """server-b with /data, and a bucket."""

    def __init__(self, folder: Path, cloud: Any) -> None:
        self.data, self.state = folder / "data", folder / "agent"
        for each in (self.data, self.state):
            each.mkdir()
        self._url = cloud.url
        self.s3 = cloud.client("s3")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        self._identity = lane_certificate.ensure(self.state)
        self.progress_counter, self.observer = ProgressCounter(), RecordingObserver()
        self.issued = IssuedKeys()
        self._front: S3Front | None = None

    def order(
        self, source: str, destination: str, *, selection: tuple[str, ...] | None = None, **options: Any
    ):
        return Move(
            transfer_id=TRANSFER,
            hop_id=f"{TRANSFER}-0",
            attempt=1,
            source=location(source),
            destination=location(destination),
            selection=selection,
            route=S3Route(region="eu-central-1", endpoint=self.endpoint),
            options=Options(**options),
        )

    async def move(
        self, order: Move, no_progress_timeout_s: float | None = None, progress: ProgressCounter | None = None
    ) -> HopResult:
        self.progress_counter, self.observer = progress or ProgressCounter(), RecordingObserver()
        limits = PullLimits()
        if no_progress_timeout_s is not None:
            limits = replace(limits, no_progress_timeout_s=no_progress_timeout_s)
        mover = mover_for(
            order,
            host=self.resources(),
            identities=self._identity,
            credentials=self.issued,
            limits=limits,
        )
        return await mover.move(order, self.progress_counter, self.observer)

    def resources(self) -> HostResources:
        return HostResources(Roots([RootConfig(path="/data", access="rw", directory=self.data)]), self.state)

    def held(self, order: Move, reached: Reached) -> AbstractAsyncContextManager[asyncio.Task[HopResult]]:
        """Run the move, held once `reached` until the end of the block, and return its task."""
        return held(lambda progress: self.move(order, progress=progress), reached)

    async def fails(self, order: Move, no_progress_timeout_s: float | None = None) -> HopError:
        with pytest.raises(HopError) as caught:
            await self.move(order, no_progress_timeout_s)
        return caught.value

    def stand_before(self, answer: Answer, written: datetime | None = None) -> None:
        """Let `answer` decide from now on which requests the bucket sees; see `S3Front` for `written`."""
        self.close()
        self._front = S3Front(self._url, answer, written)

    def close(self) -> None:
        if self._front:
            self._front.close()
            self._front = None

    @property
    def endpoint(self) -> str:
        return self._front.url if self._front else self._url

    def arrived(self) -> dict[str, bytes]:
        files = (path for path in self.data.rglob("*") if path.is_file())
        return {str(path.relative_to(self.data)): path.read_bytes() for path in files}

    def put(self, key: str, data: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=data)

    def progress(self) -> Progress:
        return self.progress_counter.snapshot()

    def keys(self) -> dict[str, bytes]:
        found = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        read = lambda key: self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()  # noqa: E731
        return {one["Key"]: read(one["Key"]) for one in found}


def location(text: str) -> AgentLocation | S3Location:
    if text.startswith("s3://"):
        bucket, _, prefix = text.removeprefix("s3://").partition("/")
        return S3Location(bucket=bucket, prefix=prefix)
    return AgentLocation(agent_id="server-b", path=text)


@pytest.fixture
async def host(tmp_path, cloud):
    host = S3MoverHost(tmp_path, cloud)
    yield host
    host.close()


ODD = (
    "plain.txt",
    "12:30:05.log",
    "Köln + Bonn 100%.mov",
    "a b/[c] #1?.txt",
    "名前/ü",
    "q'uote\"d",
    "tilde~/-dash",
)


class TestPullFromS3:
    async def test_objects_of_a_prefix_are_copied(self, host):
        for name in ODD:
            host.put(f"in/{name}", name.encode() * 100)
        host.put("in/empty", b"")
        host.put("in/more than small", os.urandom(MIB + 5))
        host.put("inside-not/x", b"another's")

        await host.move(host.order(f"s3://{BUCKET}/in/", "/data/here/"))

        arrived = {
            key.removeprefix("in/"): data for key, data in host.keys().items() if key.startswith("in/")
        }
        there = {
            str(path.relative_to(host.data / "here")): path.read_bytes()
            for path in (host.data / "here").rglob("*")
            if path.is_file()
        }
        assert there == arrived
        progress = host.progress_counter.snapshot()
        assert (progress.files_done, progress.bytes_done) == (progress.files_total, progress.bytes_total)
        assert host.observer.connections == ["s3"]

    async def test_nothing_is_written_through_a_link_at_the_destination(self, host):
        host.put("in/current/app", b"new")
        host.put("in/other", b"o")
        (host.data / "t").mkdir()
        (host.data / "beside").mkdir()
        (host.data / "beside/app").write_bytes(b"old")
        (host.data / "t/current").symlink_to("../beside")
        error = await host.fails(host.order(f"s3://{BUCKET}/in/", "/data/t/"))
        assert [one.code for one in error.failures] == ["link-in-the-way"]
        assert (host.data / "beside/app").read_bytes() == b"old"
        assert (host.data / "t/other").read_bytes() == b"o"

    async def test_a_single_object_gets_the_given_name(self, host):
        host.put("in/one.bin", b"x" * 100)
        host.put("in/one.bin.backup", b"not this")
        await host.move(host.order(f"s3://{BUCKET}/in/one.bin", "/data/other.bin"))
        assert [path.name for path in host.data.iterdir()] == ["other.bin"]
        assert (host.data / "other.bin").read_bytes() == b"x" * 100

    async def test_only_selected_objects_are_copied(self, host):
        for name in (*ODD, "not this one"):
            host.put(f"in/{name}", name.encode())
        await host.move(host.order(f"s3://{BUCKET}/in/", "/data/", selection=ODD))
        assert set(listing(host.data)) >= set(ODD)
        assert not (host.data / "not this one").exists()

    @pytest.mark.parametrize("whole", [True, False])
    async def test_a_name_with_a_line_break_arrives_and_stands_for_no_other(self, host, whole: bool):
        """In a list with one name on each line, such a name would be two other objects."""
        names = ("plain", "ü", "a\nsecret", "\n", "deep\n/\tname", "ends in return\r", "a␊b", "‛␊", "‛FF")
        for name in names:
            host.put(f"in/{name}", name.encode())
        if not whole:
            for name in ("secret", "a", "ends in return"):
                host.put(f"in/{name}", b"not asked for")
        await host.move(host.order(f"s3://{BUCKET}/in/", "/data/", selection=None if whole else names))
        assert host.arrived() == {name: name.encode() for name in names}

    @pytest.mark.parametrize("whole", [True, False])
    async def test_a_key_that_is_no_path_is_named_and_the_rest_arrives(self, host, whole: bool):
        bad = ("x//y", "./a", "up/../b", "/lead", "marker/", "..")
        for name in ("good", *bad):
            host.put(f"in/{name}", name.encode())
        error = await host.fails(
            host.order(f"s3://{BUCKET}/in/", "/data/", selection=None if whole else ("good", *bad))
        )
        assert host.arrived() == {"good": b"good"}, "and nothing that another spelling of a key names"
        assert {(one.code, one.path) for one in error.failures} == {
            ("not-a-path", f"s3://{BUCKET}/in/{name}") for name in bad
        }

    async def test_an_object_that_is_also_a_prefix_arrives_or_what_is_below_it_does(self, host):
        for name in ("both", "both/inner", "other"):
            host.put(f"in/{name}", name.encode())
        error = await host.fails(host.order(f"s3://{BUCKET}/in/", "/data/"))
        there = host.arrived()
        assert there.pop("other") == b"other"
        assert there in ({"both": b"both"}, {"both/inner": b"both/inner"})
        assert error.failures_total == 1

    async def test_what_s3_will_not_give_is_named_and_the_rest_arrives(self, host):
        """One archived object and one under a customer's own key must not stop eighty others."""

        def answer(method: str, key: str, _: str) -> ErrorAnswer | None:
            if key == "in/archived" and method == "GET":
                return ARCHIVED
            return OTHER_KEY if key == "in/theirs" else None

        for name in ("archived", "theirs", *(f"good-{number}" for number in range(20))):
            host.put(f"in/{name}", name.encode())
        host.stand_before(answer)
        for selection in (None, ("archived", "theirs", "good-1", "good-2")):
            error = await host.fails(host.order(f"s3://{BUCKET}/in/", "/data/", selection=selection))
            assert {(one.code, one.path) for one in error.failures} == {
                ("s3-archived", f"s3://{BUCKET}/in/archived"),
                ("s3-object-refused", f"s3://{BUCKET}/in/theirs"),
            }
            assert not error.problem.retryable
        assert sorted(host.arrived()) == sorted(f"good-{number}" for number in range(20))

    async def test_a_bucket_that_may_not_be_listed_fails_at_once_with_s3s_reason(self, host):
        host.put("in/x", b"x")
        host.stand_before(lambda _method, key, _: None if key else ErrorAnswer(403, "AccessDenied", "no"))
        error = await host.fails(host.order(f"s3://{BUCKET}/in/", "/data/"))
        assert error.problem.code == "s3-denied"

    async def test_when_the_line_to_s3_is_lost_the_advice_is_not_about_lane_ports(self, host):
        host.put("in/x", b"x")
        order = host.order(f"s3://{BUCKET}/in/", "/data/")
        refused = f"http://{closed_port()}"
        order = order.model_copy(update={"route": S3Route(region="eu-central-1", endpoint=refused)})
        error = await host.fails(order, no_progress_timeout_s=0)
        assert (error.problem.code, error.problem.retryable) == ("s3-failed", True)
        assert "connection refused" in error.problem.message
        assert "lane" not in error.problem.advice

    async def test_credentials_that_s3_refuses_are_discarded_once(self, host):
        """A role whose sessions were revoked: the agent asks for others instead of waiting an hour."""
        host.put("in/x", b"x")
        revoked = host.issued.key_ids[0]
        host.stand_before(lambda _method, _key, signed: EXPIRED if revoked in signed else None)
        await host.move(host.order(f"s3://{BUCKET}/in/", "/data/"))
        assert host.arrived() == {"x": b"x"}
        host.stand_before(lambda *_: EXPIRED)
        error = await host.fails(host.order(f"s3://{BUCKET}/in/", "/data/"))
        assert (error.problem.code, error.problem.retryable) == ("s3-credentials-refused", True)

    async def test_credentials_that_expire_during_a_pull_are_replaced(self, host):
        host.put("in/x", b"x")
        revoked, listings = host.issued.key_ids[0], itertools.count()

        def answer(_method: str, key: str, signed: str) -> ErrorAnswer | None:
            """Accept the first listing; the answer to HEAD that follows has no reason in it."""
            is_first_listing = not key and next(listings) == 0
            return EXPIRED if revoked in signed and not is_first_listing else None

        host.stand_before(answer)
        await host.move(host.order(f"s3://{BUCKET}/in/", "/data/"))
        assert host.arrived() == {"x": b"x"}

    async def test_missing_selected_objects_are_reported(self, host):
        host.put("in/here", b"1")
        error = await host.fails(host.order(f"s3://{BUCKET}/in/", "/data/", selection=("here", "gone ü")))
        assert [one.code for one in error.failures] == ["source-missing"]
        assert "gone ü" in error.failures[0].message
        assert (host.data / "here").exists()

    async def test_a_repeated_pull_copies_only_new_versions(self, host):
        host.put("in/a", b"one")
        order = host.order(f"s3://{BUCKET}/in/", "/data/")
        await host.move(order)
        await host.move(order)
        assert host.progress_counter.snapshot().files_unchanged == 1
        host.put("in/a", b"three")
        await host.move(order)
        assert (host.data / "a").read_bytes() == b"three"

    @pytest.mark.parametrize("overwrite", ["always", "newer"])
    @pytest.mark.parametrize("size", [5, RANGE_BYTES + 1])
    async def test_an_object_that_is_written_twice_within_a_second_arrives_in_its_last_version(
        self, host, monkeypatch, overwrite, size
    ):
        """A camera writes a file, a pull starts, and the camera corrects it: same size, same second."""
        written, now = datetime.now(UTC).replace(microsecond=0), time.time_ns
        host.stand_before(lambda *_: None, written)
        order = host.order(f"s3://{BUCKET}/in/", "/data/", overwrite=overwrite)
        monkeypatch.setattr(CLOCK, lambda: int(written.timestamp() * 1e9))
        host.put("in/a", b"1" * size)
        await host.move(order)
        host.put("in/a", b"2" * size)
        monkeypatch.setattr(CLOCK, lambda: now() + 3600 * 10**9)
        await host.move(order)
        assert (host.data / "a").read_bytes() == b"2" * size
        assert (host.data / "a").stat().st_mtime == written.timestamp()
        await host.move(order)
        assert (host.progress().files_unchanged, host.progress_counter.bytes_moved) == (1, 0)

    @pytest.mark.parametrize("overwrite", ["always", "newer"])
    @pytest.mark.parametrize("size", [5, RANGE_BYTES + 1])
    async def test_an_event_brings_the_version_that_it_tells_of_to_a_host_whose_clock_is_ahead(
        self, host, monkeypatch, overwrite, size
    ):
        """A template's run; for a clock that is a minute ahead, each version seems to have settled."""
        written = datetime.now(UTC).replace(microsecond=0)
        host.stand_before(lambda *_: None, written)
        monkeypatch.setattr(CLOCK, lambda: int((written.timestamp() + 60) * 1e9))
        order = host.order(f"s3://{BUCKET}/in/", "/data/", overwrite=overwrite, selection=("a",))
        for version in (b"1", b"2", b"2"):
            host.put("in/a", version * size)
            await host.move(order)
            assert (host.data / "a").read_bytes() == version * size
        assert host.progress().files_unchanged == 1

    async def test_a_pause_loses_only_objects_in_progress(self, host):
        host.put("in/big", os.urandom(4 * RANGE_BYTES))
        order = host.order(f"s3://{BUCKET}/in/", "/data/", streams=1)
        async with host.held(order, lambda progress: progress.bytes_done > 1.2 * RANGE_BYTES) as moving:
            await pause(moving)
        with pytest.raises(asyncio.CancelledError):
            await moving
        assert [path.name[: len(PARTIAL_PREFIX)] for path in host.data.iterdir()] == [PARTIAL_PREFIX]

        await host.move(host.order(f"s3://{BUCKET}/in/", "/data/"))

        assert (host.data / "big").read_bytes() == host.keys()["in/big"]
        assert host.progress_counter.bytes_moved <= 3 * RANGE_BYTES

    async def test_a_missing_source_is_reported(self, host):
        for source in ("nothing/here/", "nothing/here"):
            error = await host.fails(host.order(f"s3://{BUCKET}/{source}", "/data/"))
            assert error.problem.code == "source-missing"
        error = await host.fails(host.order("s3://no-such-bucket/x/", "/data/"))
        assert error.problem.code == "source-missing"


@pytest.mark.parametrize("whole", [True, False], ids=["prefix", "selection"])
async def test_objects_with_a_reserved_name_are_left_out_and_counted(host, whole):
    for key in ("in/.crosshaul-mine/a", "in/b"):
        host.put(key, b"x")
    order = host.order(f"s3://{BUCKET}/in/", "/data/")
    selection = None if whole else (".crosshaul-mine/a", "b")
    await host.move(order.model_copy(update={"selection": selection}))
    assert [path.name for path in host.data.iterdir()] == ["b"]
    assert host.progress_counter.snapshot().lost.name >= 1


class TestPushToS3:
    async def test_files_of_a_tree_are_copied(self, host):
        for name in ODD:
            write_random(host.data / "t" / name, 500)
        write_random(host.data / "t/big", RANGE_BYTES + 5)
        (host.data / "t/empty").touch()

        up = await host.move(host.order("/data/t/", f"s3://{BUCKET}/kept/"))

        sent = {str(p.relative_to(host.data / "t")): p for p in (host.data / "t").rglob("*") if p.is_file()}
        assert host.keys() == {f"kept/{name}": path.read_bytes() for name, path in sent.items()}
        progress = host.progress_counter.snapshot()
        assert (progress.files_done, progress.bytes_done) == (progress.files_total, progress.bytes_total)
        down = await host.move(host.order(f"s3://{BUCKET}/kept/", "/data/back/"))
        kinds = listing(host.data / "t")
        assert differences(kinds, listing(host.data / "back")) == []
        assert up.digest != "0" * 32
        assert down.digest != "0" * 32


async def test_refused_credentials_are_reported_as_the_control_plane_said(host):
    details = ProblemDetails(
        type="urn:crosshaul:problem:hop-not-under-way",
        title="",
        status=409,
        detail="not yours",
        advice="wait",
    )
    host.issued.refusal = ApiProblem(details)
    error = await host.fails(host.order("s3://media/in/", "/data/"), no_progress_timeout_s=0)
    assert (error.problem.code, error.problem.retryable) == ("hop-not-under-way", False)


async def test_neither_direction_needs_rclone(host, monkeypatch):
    write_random(host.data / "x", 5)
    monkeypatch.setattr("agent.host_info.find_rclone", lambda: None)
    await host.move(host.order("/data/x", "s3://media/in/x"))
    await host.move(host.order("s3://media/in/", "/data/back/"))
    assert (host.data / "back/x").read_bytes() == (host.data / "x").read_bytes()


ODD_PARTS = (
    *"ab .~‛／．␊␀␡\n\r\t\x01\x7f\u0308\u202e\ufffd名🎬#?%+&*:\\\"'[]{}<>|",
    *("..", "‛．", "‛FF", "Ko\u0308ln", "Köln", "%2F"),
)
file_names = (
    st.lists(st.sampled_from(ODD_PARTS) | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
    .map("".join)
    .filter(lambda name: not {"/", "\0"} & set(name) and len(name.encode()) < 200)
)
keys = st.lists(file_names | st.just(""), min_size=1, max_size=3).map("/".join).filter(bool)
with_the_cloud = settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_numbers = itertools.count()


@with_the_cloud
@given(chosen=st.lists(keys, min_size=6, max_size=10, unique=True))
async def test_every_key_arrives_under_its_name_or_is_named(host, chosen):
    top = f"{next(_numbers)}"
    for key in chosen:
        host.put(f"{top}/{key}", b"content of " + key.encode())
    failures: set[str | None] = set()
    try:
        await host.move(host.order(f"s3://{BUCKET}/{top}/", f"/data/{top}/"))
    except HopError as error:
        failures = {one.path for one in error.failures}
    arrived = {
        path.removeprefix(f"{top}/"): data
        for path, data in host.arrived().items()
        if path.startswith(f"{top}/")
    }
    for key in chosen:
        if arrived.get(key) != b"content of " + key.encode():
            ends = (f"/{key}", f"/{key.rstrip('/')}")
            assert any(path and path.endswith(ends) for path in failures), (key, failures)
            assert not is_inside(key) or any(one.startswith((f"{key}/", *parents(key))) for one in chosen)
    assert set(arrived) <= set(chosen)


def parents(key: str) -> tuple[str, ...]:
    """Return the keys that would be directories above this one, as the whole of another key."""
    parts = key.split("/")
    return tuple("/".join(parts[:depth]) for depth in range(1, len(parts)))
