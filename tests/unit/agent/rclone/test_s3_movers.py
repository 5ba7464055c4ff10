"""Test hops to and from S3: real rclone, the embedded cloud's S3, real files."""

import asyncio
import os
import subprocess
import threading
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.cloud.http import ApiProblem
from agent.config import RootConfig
from agent.errors import HopError
from agent.files.digests import RANGE_BYTES
from agent.files.paths import PARTIAL_PREFIX
from agent.files.roots import Roots
from agent.identity import lane_certificate
from agent.movers import mover_for
from agent.pull.mover import HopResult, HostResources
from agent.pull.progress import ProgressCounter
from agent.rclone import s3_process
from events.commands import Move, S3Route
from events.locations import AgentLocation, S3Location
from events.options import Options
from events.progress import Progress
from events.views import CredentialsView, ProblemDetails
from infra.local.demo_files import MIB, differences, listing, write_random
from tests.support.held_progress import Reached, held, pause
from tests.support.hosts import TRANSFER, RecordingObserver
from tests.support.predicted import OVERWRITES, Upload, is_predicted
from tests.support.waiting import HANG_TIMEOUT_S, until

BUCKET = "media"


class Host:
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
        self.refusal: Exception | None = None

    def credentials(self, hop_id: str) -> CredentialsView:
        if self.refusal:
            raise self.refusal
        return CredentialsView(
            access_key_id="test",
            secret_access_key="test",
            session_token="token",
            expires_at=datetime.now(UTC) + timedelta(hours=1),
            region="eu-central-1",
            endpoint=self._url,
        )

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
            route=S3Route(region="eu-central-1", endpoint=self._url),
            options=Options(**options),
        )

    async def move(
        self, order: Move, no_progress_timeout_s: float | None = None, progress: ProgressCounter | None = None
    ) -> HopResult:
        self.progress_counter, self.observer = progress or ProgressCounter(), RecordingObserver()
        roots = Roots([RootConfig(path="/data", access="rw", directory=self.data)])
        mover = mover_for(
            order,
            host=HostResources(roots, self.state),
            identities=self._identity,
            credentials=self.credentials,
        )
        if no_progress_timeout_s is not None:
            mover._no_progress_timeout_s = no_progress_timeout_s
        return await mover.move(order, self.progress_counter, self.observer)

    def held(self, order: Move, reached: Reached) -> AbstractAsyncContextManager[asyncio.Task[HopResult]]:
        """Run the move, held once `reached` until the end of the block, and return its task."""
        return held(lambda progress: self.move(order, progress=progress), reached)

    async def fails(self, order: Move, no_progress_timeout_s: float | None = None) -> HopError:
        with pytest.raises(HopError) as caught:
            await self.move(order, no_progress_timeout_s)
        return caught.value

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
    return Host(tmp_path, cloud)


ODD = ("plain.txt", "Köln + Bonn 100%.mov", "a b/[c] #1?.txt", "名前/ü", "q'uote\"d", "tilde~/-dash")


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
    async def test_a_name_with_a_line_break_stands_for_no_other_and_is_named(self, host, whole: bool):
        """rclone reads lists line by line, so such a name would be two other objects."""
        good, bad = ("plain", "ü"), ("a\nsecret", "\n", "deep\n/\tname", "ends in return\r", "a␊b")
        for name in (*good, *bad):
            host.put(f"in/{name}", name.encode())
        if not whole:
            for name in ("secret", "a", "ends in return"):
                host.put(f"in/{name}", b"not asked for")
        error = await host.fails(
            host.order(f"s3://{BUCKET}/in/", "/data/", selection=None if whole else (*good, *bad))
        )
        there = {str(path.relative_to(host.data)): path for path in host.data.rglob("*") if path.is_file()}
        read = {name: path.read_bytes().decode() for name, path in there.items()}
        assert read == {name: name for name in good}
        assert {one.code for one in error.failures} == {"control-character-in-name"}
        assert error.failures_total == len(bad)
        for one in error.failures:
            assert one.path
            assert one.path in one.message

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

    async def test_a_killed_rclone_is_restarted(self, host, monkeypatch):
        host.put("in/big", os.urandom(3 * RANGE_BYTES))
        started: list[subprocess.Popen[bytes]] = []
        original = s3_process.S3RcloneProcess.spawn

        def start(self, *arguments, **more):
            process = original(self, *arguments, **more)
            if arguments[0] == "rcd":
                started.append(process)
            return process

        monkeypatch.setattr(s3_process.S3RcloneProcess, "spawn", start)
        order = host.order(f"s3://{BUCKET}/in/", "/data/", streams=2)
        async with host.held(order, lambda progress: progress.bytes_done) as moving:
            started[0].kill()
        await moving
        assert (host.data / "big").read_bytes() == host.keys()["in/big"]
        assert len(started) == 2


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

    async def test_a_single_file_gets_the_given_name(self, host):
        write_random(host.data / "one", 500)
        await host.move(host.order("/data/one", f"s3://{BUCKET}/deep/other name"))
        assert host.keys() == {"deep/other name": (host.data / "one").read_bytes()}

    async def test_a_repeated_push_copies_nothing(self, host):
        write_random(host.data / "t/one", 500)
        order = host.order("/data/t/", f"s3://{BUCKET}/kept/")
        await host.move(order)
        await host.move(order)
        progress = host.progress_counter.snapshot()
        assert (progress.files_unchanged, progress.bytes_done) == (1, 500)
        write_random(host.data / "t/one", 501)
        await host.move(order)
        assert len(host.keys()["kept/one"]) == 501

    async def test_unsupported_entries_are_reported_and_the_rest_is_copied(self, host):
        write_random(host.data / "t/good", 5)
        (host.data / "t/link").symlink_to("good")
        (host.data / "t/line\nbreak").touch()
        (host.data / "t/good\r").touch()

        error = await host.fails(host.order("/data/t/", f"s3://{BUCKET}/kept/"))

        assert {one.code for one in error.failures} == {"not-for-s3"}
        assert error.failures_total == 3
        assert list(host.keys()) == ["kept/good"]

    async def test_links_are_followed_inside_the_root_only(self, host, tmp_path):
        (tmp_path / "secret").write_text("secret")
        write_random(host.data / "t/good", 5)
        (host.data / "t/link").symlink_to("good")
        (host.data / "t/out").symlink_to(tmp_path / "secret")

        error = await host.fails(host.order("/data/t/", f"s3://{BUCKET}/kept/", symlinks="follow"))

        assert [one.code for one in error.failures] == ["outside-roots"]
        assert set(host.keys()) == {"kept/good", "kept/link"}

    @pytest.mark.parametrize("overwrite", OVERWRITES)
    async def test_a_dry_run_predicts_the_push(self, host, overwrite):
        def moves(**options):
            return host.move(host.order("/data/t/", f"s3://{BUCKET}/kept/", **options))

        def there():
            return {key.removeprefix("kept/"): data for key, data in host.keys().items()}

        upload = Upload(host.data / "t", moves, there, host.progress)
        await is_predicted(upload, overwrite)

    async def test_a_dry_run_of_one_file_looks_at_the_destination(self, host):
        write_random(host.data / "one", 500)
        order = host.order("/data/one", f"s3://{BUCKET}/deep/other name", dry_run=True)
        preview = (await host.move(order)).preview
        assert (preview.sent.files, preview.sent.bytes, host.keys()) == (1, 500, {})
        assert preview.examples == {}, "it has no path within itself"
        host.put("deep/other name", b"another")
        preview = (await host.move(order)).preview
        assert (preview.sent.files, preview.replaced.files) == (0, 1)
        assert host.keys() == {"deep/other name": b"another"}

    async def test_a_dry_run_reports_unsupported_entries(self, host):
        write_random(host.data / "t/good", 5)
        (host.data / "t/link").symlink_to("good")
        preview = (await host.move(host.order("/data/t/", f"s3://{BUCKET}/kept/", dry_run=True))).preview
        assert (preview.sent.files, preview.failed.files) == (1, 1)
        assert "symbolic link" in preview.examples["failed"][0]

    async def test_a_dry_run_can_be_stopped(self, host, monkeypatch):
        for number in range(3000):
            (host.data / f"file-{number}").touch()
        stopped, original = threading.Event(), RecordingObserver.on_start

        def start_and_wait(*arguments) -> None:
            original(*arguments)
            assert stopped.wait(HANG_TIMEOUT_S)

        monkeypatch.setattr(RecordingObserver, "on_start", start_and_wait)
        moving = asyncio.create_task(host.move(host.order("/data/", f"s3://{BUCKET}/kept/", dry_run=True)))
        await until(lambda: host.observer.connections)
        await pause(moving)
        stopped.set()
        with pytest.raises(asyncio.CancelledError):
            await moving

    async def test_a_dry_run_to_a_missing_bucket_fails(self, host):
        write_random(host.data / "x", 5)
        error = await host.fails(host.order("/data/x", "s3://no-such-bucket/x", dry_run=True))
        assert "no-such-bucket" in error.problem.message

    async def test_a_missing_source_or_bucket_is_reported(self, host):
        error = await host.fails(host.order("/data/nothing/", f"s3://{BUCKET}/kept/"))
        assert error.problem.code == "source-missing"
        write_random(host.data / "x", 5)
        error = await host.fails(host.order("/data/x", "s3://no-such-bucket/x"))
        assert "no-such-bucket" in error.problem.message

    async def test_a_pause_ends_rclone(self, host):
        write_random(host.data / "big", 8 * MIB)
        order = host.order("/data/big", f"s3://{BUCKET}/big")
        async with host.held(order, lambda progress: progress.bytes_done) as moving:
            await pause(moving)
        with pytest.raises(asyncio.CancelledError):
            await moving
        assert host.keys() == {}


@pytest.mark.parametrize("way", [("s3://media/in/", "/data/"), ("/data/", "s3://media/in/")])
async def test_refused_credentials_are_reported_as_the_control_plane_said(host, way):
    write_random(host.data / "x", 5)
    details = ProblemDetails(
        type="urn:crosshaul:problem:hop-not-under-way",
        title="",
        status=409,
        detail="not yours",
        advice="wait",
    )
    host.refusal = ApiProblem(details)
    error = await host.fails(host.order(*way), no_progress_timeout_s=0)
    assert (error.problem.code, error.problem.retryable) == ("hop-not-under-way", False)


@pytest.mark.parametrize("way", [("s3://media/in/", "/data/"), ("/data/", "s3://media/in/")])
async def test_without_rclone_the_error_says_what_to_install(host, monkeypatch, way):
    write_random(host.data / "x", 5)
    monkeypatch.setattr("agent.host_info.find_rclone", lambda: None)
    error = await host.fails(host.order(*way))
    assert error.problem.code == "rclone-missing"
