"""Test hops from and to remotes of a host's rclone: real rclone, real files, servers on loopback."""

import asyncio
import gzip
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.config import RemoteConfig, RootConfig
from agent.errors import HopError
from agent.files.digests import RANGE_BYTES, read_digest
from agent.files.paths import PARTIAL_PREFIX
from agent.files.roots import Roots
from agent.host_info import find_rclone
from agent.movers import mover_for
from agent.pull import manifest_outbox
from agent.pull.bandwidth import RateLimiter
from agent.pull.limits import PullLimits
from agent.pull.manifest_outbox import ManifestOutbox
from agent.pull.mover import HopResult, HostResources
from agent.pull.progress import ProgressCounter
from agent.rclone import unsized_files
from agent.rclone.errors import error_lines
from agent.rclone.process import RcloneProcess
from agent.remotes import Remotes
from events.commands import Move, RemoteRoute
from events.locations import AgentLocation, RemoteLocation
from events.manifest import ManifestLine
from events.options import Options
from events.progress import Progress
from infra.local.demo_files import MIB, differences, listing, write_random
from infra.local.processes import free_ports, is_free
from tests.support.held_progress import Reached, held, pause
from tests.support.hosts import TRANSFER, RecordingObserver
from tests.support.predicted import OVERWRITES, PredictedUpload, is_predicted
from tests.support.s3_front import ErrorAnswer
from tests.support.s3_server import S3Server
from tests.support.waiting import HANG_TIMEOUT_S, until

CONFIGURATION = """
[disk]
type = local

[archive]
type = alias
remote = disk:{remote_directory}

[nothing]
type = alias
remote = disk:{remote_directory}/is/not/there
"""
OFFERED_REMOTES = (
    RemoteConfig(name="archive", access="rw"),
    RemoteConfig(name="disk", access="ro", directory="{remote_directory}/team"),
    RemoteConfig(name="nothing", access="rw"),
    RemoteConfig(name="forgotten", access="rw"),
    RemoteConfig(name="web", access="rw"),
)


class RemoteHost:
    """server-b with /data, and the directory behind its remote `archive`."""

    def __init__(self, folder: Path) -> None:
        self.data, self.state, self.remote_directory = folder / "data", folder / "agent", folder / "far"
        for each in (self.data, self.state, self.remote_directory):
            each.mkdir()
        self.configuration = folder / "rclone.conf"
        self.configuration.write_text(CONFIGURATION.format(remote_directory=self.remote_directory))
        offered = [
            remote.model_copy(
                update={"directory": remote.directory.format(remote_directory=self.remote_directory)}
            )
            for remote in OFFERED_REMOTES
        ]
        self.remotes = Remotes(offered, self.configuration)
        self.progress_counter, self.observer = ProgressCounter(), RecordingObserver()
        self.manifests: ManifestOutbox | None = None

    def add_remote(self, name: str, **fields: str) -> None:
        """Add a remote to rclone's configuration."""
        lines = [f"[{name}]", *(f"{key} = {value}" for key, value in fields.items())]
        with self.configuration.open("a") as file:
            file.write("\n".join(lines) + "\n")

    async def move(
        self,
        source: str,
        destination: str,
        no_progress_timeout_s: float | None = 0,
        progress: ProgressCounter | None = None,
        **options: Any,
    ) -> HopResult:
        self.progress_counter, self.observer = progress or ProgressCounter(), RecordingObserver()
        order = Move(
            transfer_id=TRANSFER,
            hop_id=f"{TRANSFER}-0",
            attempt=1,
            source=location(source),
            destination=location(destination),
            route=RemoteRoute(),
            options=Options(**options),
        )
        roots = Roots([RootConfig(path="/data", access="rw", directory=self.data)])
        host = HostResources(roots, self.state, remotes=self.remotes, manifests=self.manifests)
        limits = PullLimits()
        if no_progress_timeout_s is not None:
            limits = replace(limits, no_progress_timeout_s=no_progress_timeout_s)
        mover = mover_for(
            order, host=host, identities=None, credentials=no_credentials_expected, limits=limits
        )
        return await mover.move(order, self.progress_counter, self.observer)

    def held(
        self, source: str, destination: str, reached: Reached, **how: Any
    ) -> AbstractAsyncContextManager[asyncio.Task[HopResult]]:
        """Run the move, held once `reached` until the end of the block, and return its task."""
        return held(lambda progress: self.move(source, destination, progress=progress, **how), reached)

    def progress(self) -> Progress:
        return self.progress_counter.snapshot()

    async def fails(self, source: str, destination: str, **options: Any) -> HopError:
        with pytest.raises(HopError) as caught:
            await self.move(source, destination, **options)
        return caught.value


def has_begun(progress: Progress) -> bool:
    return progress.bytes_done > 0


def location(text: str) -> AgentLocation | RemoteLocation:
    if text.startswith("/"):
        return AgentLocation(agent_id="server-b", path=text)
    remote, _, path = text.partition(":")
    return RemoteLocation(agent_id="server-b", remote=remote, path=path)


def make_upload(host: RemoteHost, target: str, folder: Path) -> PredictedUpload:
    def there() -> dict[str, bytes]:
        return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}

    def moves(**options: Any) -> Any:
        return host.move("/data/t/", target, **options)

    return PredictedUpload(host.data / "t", moves, there, host.progress)


def no_credentials_expected(hop_id: str) -> Any:
    raise AssertionError("nobody asks the control plane for them")


@pytest.fixture
def host(tmp_path):
    return RemoteHost(tmp_path)


@pytest.fixture
def started_processes(monkeypatch) -> list[subprocess.Popen[bytes]]:
    """Return a list of all rclone processes that are started from now on."""
    found: list[subprocess.Popen[bytes]] = []
    original = RcloneProcess.spawn

    def start(self, *arguments, **more):
        found.append(original(self, *arguments, **more))
        return found[-1]

    monkeypatch.setattr(RcloneProcess, "spawn", start)
    return found


UNUSUAL_NAMES = (
    "plain.txt",
    "Köln + Bonn 100%.mov",
    "a b/[c] #1?.txt",
    "名前/ü",
    "q'uote\"d",
    "tilde~/-dash",
)


def tree(folder: Path) -> None:
    for name in UNUSUAL_NAMES:
        write_random(folder / name, 500)
    write_random(folder / "big", RANGE_BYTES + 5)
    (folder / "none").touch()
    os.utime(folder / "big", ns=(10**18, 10**18))


class TestPullFromRemote:
    async def test_a_tree_is_copied(self, host):
        tree(host.remote_directory / "in")
        (host.remote_directory / "in/empty/inner").mkdir(parents=True)
        write_random(host.remote_directory / "beside", 5)

        await host.move("archive:in/", "/data/here/")

        assert differences(listing(host.remote_directory / "in"), listing(host.data / "here")) == []
        assert (host.data / "here/empty/inner").is_dir()
        assert (host.data / "here/big").stat().st_mtime_ns == 10**18
        progress = host.progress_counter.snapshot()
        assert (progress.files_done, progress.bytes_done) == (progress.files_total, progress.bytes_total)
        assert host.observer.connections == ["remote"]

    async def test_the_whole_remote_or_one_file_is_copied(self, host):
        write_random(host.remote_directory / "deep/one.bin", 100)
        await host.move("archive:", "/data/all/")
        await host.move("archive:deep/one.bin", "/data/other.bin")
        assert (host.data / "all/deep/one.bin").read_bytes() == (
            host.remote_directory / "deep/one.bin"
        ).read_bytes()
        assert (host.data / "other.bin").read_bytes() == (host.remote_directory / "deep/one.bin").read_bytes()

    async def test_only_the_offered_directory_can_be_read(self, host):
        write_random(host.remote_directory / "team/ours", 5)
        write_random(host.remote_directory / "theirs", 5)
        await host.move("disk:", "/data/got/")
        assert [path.name for path in (host.data / "got").iterdir()] == ["ours"]
        error = await host.fails(f"disk:{host.remote_directory}/theirs", "/data/x")
        assert error.problem.code == "source-missing"

    async def test_a_repeated_pull_copies_only_new_versions(self, host):
        write_random(host.remote_directory / "in/a", 500)
        await host.move("archive:in/", "/data/")
        await host.move("archive:in/", "/data/")
        assert (host.progress_counter.snapshot().files_unchanged, host.progress_counter.bytes_moved) == (1, 0)
        write_random(host.remote_directory / "in/a", 501)
        await host.move("archive:in/", "/data/")
        assert (host.data / "a").read_bytes() == (host.remote_directory / "in/a").read_bytes()

    async def test_a_dry_run_and_a_mirror_compare_with_the_destination(self, host):
        write_random(host.remote_directory / "in/new", 5)
        write_random(host.data / "kept/old", 5)
        outcome = await host.move("archive:in/", "/data/kept/", delete_extra=True, dry_run=True)
        assert (outcome.preview.sent.files, outcome.preview.removed.files) == (1, 1)
        await host.move("archive:in/", "/data/kept/", delete_extra=True)
        assert [path.name for path in (host.data / "kept").iterdir()] == ["new"]

    @pytest.mark.parametrize(
        ("source", "destination"),
        [("archive:", "/data/"), ("archive:", "/data/sub/"), ("archive:sub/", "/data/")],
    )
    async def test_a_mirror_onto_itself_deletes_nothing(self, host, source, destination):
        """The remote is a directory inside the agent's own root."""
        host.configuration.write_text(CONFIGURATION.format(remote_directory=host.data))
        write_random(host.data / "sub/b", 5)
        write_random(host.data / "a", 5)
        before = listing(host.data)
        error = await host.fails(source, destination, delete_extra=True)
        assert error.problem.code == "same-place"
        assert before.items() <= listing(host.data).items()
        assert not list(host.data.rglob(".crosshaul-*"))

    async def test_a_pause_loses_only_files_in_progress(self, host):
        write_random(host.remote_directory / "in/big", 4 * RANGE_BYTES)
        reached = lambda progress: progress.bytes_done > 1.2 * RANGE_BYTES  # noqa: E731
        async with host.held("archive:in/", "/data/", reached, streams=1) as moving:
            await pause(moving)
        with pytest.raises(asyncio.CancelledError):
            await moving
        assert [path.name[: len(PARTIAL_PREFIX)] for path in host.data.iterdir()] == [PARTIAL_PREFIX]

        await host.move("archive:in/", "/data/")

        assert (host.data / "big").read_bytes() == (host.remote_directory / "in/big").read_bytes()
        assert host.progress_counter.bytes_moved <= 3 * RANGE_BYTES

    async def test_a_killed_rclone_is_restarted(self, host, started_processes):
        write_random(host.remote_directory / "in/big", 3 * RANGE_BYTES)
        async with host.held(
            "archive:in/", "/data/", has_begun, no_progress_timeout_s=None, streams=2
        ) as moving:
            servers = [one for one in started_processes if "rcd" in one.args]
            servers[0].kill()
        await moving
        assert (host.data / "big").read_bytes() == (host.remote_directory / "in/big").read_bytes()
        assert len([one for one in started_processes if "rcd" in one.args]) == 2

    @pytest.mark.parametrize("source", ["archive:nothing/", "archive:nothing", "nothing:"])
    async def test_a_missing_source_is_reported(self, host, source):
        error = await host.fails(source, "/data/x/")
        assert error.problem.code == "source-missing"

    async def test_a_file_is_not_a_directory(self, host):
        write_random(host.remote_directory / "one.bin", 100)
        error = await host.fails("archive:one.bin/", "/data/x/")
        assert error.problem.code == "not-a-directory"


class TestAccessToRemotes:
    async def test_another_remote_of_the_same_configuration_is_refused(self, host, started_processes):
        host.add_remote("secret", type="alias", remote=f"disk:{host.remote_directory}")
        for way in (("secret:", "/data/x/"), ("/data/", "secret:")):
            error = await host.fails(*way)
            assert (error.problem.code, error.problem.retryable) == ("remote-unknown", False)
            assert "archive" in error.problem.advice
        assert started_processes == []

    async def test_nothing_is_written_to_one_that_is_to_be_read(self, host, started_processes):
        write_random(host.data / "x", 5)
        error = await host.fails("/data/x", "disk:x")
        assert error.problem.code == "read-only-remote"
        assert started_processes == []

    @pytest.mark.parametrize("way", [("forgotten:in/", "/data/x/"), ("/data/", "forgotten:")])
    async def test_an_unconfigured_remote_is_reported(self, host, way):
        write_random(host.data / "x", 5)
        error = await host.fails(*way)
        assert (error.problem.code, error.problem.retryable) == ("remote-not-described", False)

    async def test_a_missing_configuration_is_named(self, host):
        host.configuration.unlink()
        error = await host.fails("archive:in/", "/data/x/")
        assert error.problem.code == "remote-not-described"
        assert str(host.configuration) in error.problem.message


class TestPushToRemote:
    @pytest.mark.parametrize("overwrite", OVERWRITES)
    async def test_a_dry_run_predicts_the_push(self, host, overwrite):
        await is_predicted(make_upload(host, "archive:kept/", host.remote_directory / "kept"), overwrite)

    async def test_files_are_copied_with_their_times(self, host):
        tree(host.data / "t")
        up = await host.move("/data/t/", "archive:kept/")
        assert differences(listing(host.data / "t"), listing(host.remote_directory / "kept")) == []
        assert (host.remote_directory / "kept/big").stat().st_mtime_ns // 10**9 == 10**9
        progress = host.progress_counter.snapshot()
        assert (progress.files_done, progress.bytes_done) == (progress.files_total, progress.bytes_total)
        assert host.observer.connections == ["remote"]
        assert up.digest != "0" * 32

    async def test_a_single_file_gets_the_given_name(self, host):
        write_random(host.data / "one", 500)
        await host.move("/data/one", "archive:other name")
        await host.move("/data/one", "archive:deep/er")
        for name in ("other name", "deep/er"):
            assert (host.remote_directory / name).read_bytes() == (host.data / "one").read_bytes()

    async def test_a_repeated_push_copies_nothing(self, host):
        write_random(host.data / "t/one", 500)
        await host.move("/data/t/", "archive:kept/")
        await host.move("/data/t/", "archive:kept/")
        assert (host.progress_counter.snapshot().files_unchanged, host.progress_counter.bytes_moved) == (1, 0)

    async def test_what_rclone_has_asked_for_counts_even_if_it_ends_before_that_is_recorded(
        self, host, started_processes, monkeypatch
    ):
        answer = BaseHTTPRequestHandler.end_headers

        def answer_and_go_on_late(handler):
            answer(handler)
            if handler.command == "HEAD":
                next(one for one in reversed(started_processes) if "copy" in one.args).wait(HANG_TIMEOUT_S)

        write_random(host.data / "t/one", 500)
        await host.move("/data/t/", "archive:kept/")
        monkeypatch.setattr(BaseHTTPRequestHandler, "end_headers", answer_and_go_on_late)
        await host.move("/data/t/", "archive:kept/")
        assert host.progress_counter.snapshot().files_unchanged == 1

    async def test_an_existing_file_is_kept_if_requested(self, host):
        write_random(host.data / "t/one", 500)
        write_random(host.remote_directory / "kept/one", 600)
        error = await host.fails("/data/t/", "archive:kept/", overwrite="fail")
        assert [one.code for one in error.failures] == ["destination-exists"]
        await host.move("/data/t/", "archive:kept/", overwrite="never")
        assert (host.remote_directory / "kept/one").stat().st_size == 600

    async def test_a_link_is_reported_and_the_rest_is_copied(self, host):
        write_random(host.data / "t/good", 5)
        (host.data / "t/link").symlink_to("good")
        error = await host.fails("/data/t/", "archive:kept/")
        assert [one.code for one in error.failures] == ["not-for-remote"]
        assert (host.remote_directory / "kept/good").exists()

    async def test_a_pause_ends_rclone_and_leaves_no_partial_file(self, host, started_processes):
        write_random(host.data / "big", 8 * MIB)
        async with host.held("/data/big", "archive:big", has_begun) as moving:
            await pause(moving)
        with pytest.raises(asyncio.CancelledError):
            await moving
        assert list(host.remote_directory.iterdir()) == []
        assert all(one.poll() is not None for one in started_processes)

    async def test_a_killed_rclone_ends_the_attempt_and_the_next_succeeds(self, host, started_processes):
        write_random(host.data / "t/big", 8 * MIB)
        async with host.held("/data/t/", "archive:kept/", has_begun) as moving:
            next(one for one in started_processes if "copy" in one.args).kill()
        with pytest.raises(HopError) as caught:
            await moving
        assert (caught.value.problem.code, caught.value.problem.retryable) == ("remote-failed", True)
        await host.move("/data/t/", "archive:kept/")
        assert differences(listing(host.data / "t"), listing(host.remote_directory / "kept")) == []


PASSWORD = "Xy7-never-to-be-said"


def obscured(password: str) -> str:
    """Return the password as rclone's configuration stores it."""
    done = subprocess.run(
        [find_rclone(), "obscure", "-"], input=password, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def dav(host, tmp_path):
    """Serve WebDAV with a password and without file times, as the remote `web`."""
    rclone, (port,) = find_rclone(), free_ports(1)
    folder = tmp_path / "dav"
    folder.mkdir()
    server = subprocess.Popen(
        [rclone, "serve", "webdav", folder, f"--addr=127.0.0.1:{port}"],
        env=os.environ | {"RCLONE_CONFIG": "", "RCLONE_USER": "u", "RCLONE_PASS": PASSWORD},
        stderr=subprocess.DEVNULL,
    )
    host.add_remote(
        "web",
        type="webdav",
        url=f"http://127.0.0.1:{port}",
        vendor="other",
        user="u",
        **{"pass": obscured(PASSWORD)},
    )
    asyncio.run(until(lambda: not is_free(port)))
    yield folder
    server.kill()
    server.wait()


class TestWebDav:
    async def test_a_round_trip_is_identical(self, host, dav):
        tree(host.data / "t")
        await host.move("/data/t/", "web:kept/")
        assert differences(listing(host.data / "t"), listing(dav / "kept")) == []
        await host.move("web:kept/", "/data/back/")
        assert differences(listing(host.data / "t"), listing(host.data / "back")) == []

    async def test_without_times_a_change_of_the_same_size_is_copied(self, host, dav):
        write_random(host.data / "t/one", 500)
        await host.move("/data/t/", "web:")
        write_random(host.data / "t/one", 500)
        await host.move("/data/t/", "web:")
        assert (dav / "one").read_bytes() == (host.data / "t/one").read_bytes()

    @pytest.mark.parametrize("overwrite", OVERWRITES)
    async def test_a_dry_run_predicts_the_push(self, host, dav, overwrite):
        await is_predicted(make_upload(host, "web:kept/", dav / "kept"), overwrite)

    async def test_a_wrong_password_is_reported_without_it(self, host, dav, started_processes):
        wrong = obscured(f"{PASSWORD}!")
        lines = host.configuration.read_text().splitlines()
        host.configuration.write_text(
            "\n".join(f"pass = {wrong}" if line.startswith("pass =") else line for line in lines)
        )
        write_random(host.data / "x", 5)
        for way in (("web:in/", "/data/y/"), ("/data/x", "web:x")):
            error = await host.fails(*way)
            problem = error.failures[0] if error.failures else error.problem
            assert problem.code == "remote-denied"
            assert PASSWORD not in str([error.problem, error.failures])
        for one in started_processes:
            assert not any(secret in str(one.args) for secret in (PASSWORD, wrong))


@pytest.fixture
def bucket(host) -> Iterator[S3Server]:
    """Serve a bucket of the company's own storage, which speaks S3, as the remote `web`."""
    with S3Server() as server:
        host.add_remote(
            "web",
            type="s3",
            provider="Other",
            endpoint=server.url,
            access_key_id="KEY",
            secret_access_key=PASSWORD,
        )
        yield server


DENIED = ErrorAnswer(403, "AccessDenied")


class TestOwnS3Storage:
    """rclone and the host's configuration reach it, not the agent with credentials of its hop."""

    async def test_a_prefix_is_copied_although_the_key_may_not_ask_for_its_name(self, host, bucket):
        for key in ("in/a", "in/b/c"):
            bucket.put(key, key.encode())
        bucket.answer = lambda request: DENIED if request.key == "in" else None
        await host.move("web:media/in/", "/data/t/")
        assert [(host.data / "t" / name).read_bytes() for name in ("a", "b/c")] == [b"in/a", b"in/b/c"]

    @pytest.mark.parametrize("source", ["web:media/in/", "web:media/in"])
    async def test_an_object_that_it_denies_is_named_and_the_rest_is_copied(self, host, bucket, source):
        for key in ("in/a", "in/b"):
            bucket.put(key, key.encode())
        bucket.answer = lambda request: DENIED if request.key == "in/a" else None
        error = await host.fails(source, "/data/t/")
        assert [(one.code, one.path) for one in error.failures] == [
            ("remote-denied", "server-b:web:media/in/a")
        ]
        assert (host.data / "t/b").read_bytes() == b"in/b"

    async def test_a_key_that_it_does_not_know_is_a_matter_for_the_hosts_administrator(self, host, bucket):
        bucket.answer = lambda _: ErrorAnswer(403, "InvalidAccessKeyId")
        error = await host.fails("web:media/in/", "/data/t/")
        assert (error.problem.code, error.problem.retryable) == ("remote-denied", False)


@contextmanager
def web_server(host: RemoteHost, folder: Path, handler: type[SimpleHTTPRequestHandler]) -> Iterator[Path]:
    """Serve the folder as the remote `web`."""
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host.add_remote("web", type="http", url=f"http://127.0.0.1:{server.server_address[1]}/")
    try:
        yield folder
    finally:
        server.shutdown()
        server.server_close()


class NoRangesHandler(SimpleHTTPRequestHandler):
    """Answers requests for a range with the whole file."""

    def log_message(self, *what: Any) -> None:
        """Log nothing."""


@pytest.fixture
def site(host, tmp_path):
    """Serve a plain web site as the remote `web`."""
    with web_server(host, tmp_path / "site", NoRangesHandler) as folder:
        yield folder


class TestPullFromWebServer:
    async def test_a_server_without_ranges_is_reported(self, host, site):
        write_random(site / "small", 1000)
        write_random(site / "large", 2 * RANGE_BYTES)
        error = await host.fails("web:", "/data/got/")
        assert [one.code for one in error.failures] == ["no-ranges"]
        assert (host.data / "got/small").read_bytes() == (site / "small").read_bytes()
        assert not (host.data / "got/large").exists()

    async def test_it_is_read_only(self, host, site):
        write_random(host.data / "x", 5)
        error = await host.fails("/data/x", "web:x")
        problem = error.failures[0] if error.failures else error.problem
        assert (problem.code, problem.retryable) == ("read-only-remote", False)


class UnsizedDocumentsHandler(SimpleHTTPRequestHandler):
    """Sends no sizes, and never all of one file."""

    protocol_version = "HTTP/1.1"

    def send_header(self, name: str, value: str) -> None:
        if name == "Content-Length" and not self.path.endswith("/"):
            name, value = "Transfer-Encoding", "chunked"
        super().send_header(name, value)

    def copyfile(self, source: Any, to: Any) -> None:
        if self.path.endswith("/"):
            return super().copyfile(source, to)
        data = source.read()
        for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
            to.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if piece else b"")
            if self.path.endswith("broken"):
                self.close_connection = True
                return None
        to.write(b"0\r\n\r\n")
        return None

    def log_message(self, *what: Any) -> None:
        """Log nothing."""


@pytest.fixture
def documents(host, tmp_path):
    """Serve documents that are generated on request, as the remote `web`."""
    with web_server(host, tmp_path / "documents", UnsizedDocumentsHandler) as folder:
        yield folder


def accounted(of: ManifestOutbox) -> list[ManifestLine]:
    """Return the lines of the one manifest that waits for its upload."""
    [waiting] = of.waiting()
    with tempfile.TemporaryFile() as file:
        manifest_outbox.write(waiting, file)
        file.seek(0)
        with gzip.open(file) as lines:
            return [ManifestLine.model_validate_json(line) for line in lines]


class TestUnsizedFiles:
    async def test_are_copied_with_size_and_digest(self, host, documents):
        host.manifests = ManifestOutbox(host.state / "manifests")
        write_random(documents / "notes", 3 * MIB + 1)
        write_random(documents / "deep/large", RANGE_BYTES + 5)
        (documents / "none").touch()

        await host.move("web:", "/data/got/")

        assert differences(listing(documents), listing(host.data / "got")) == []
        progress = host.progress_counter.snapshot()
        assert progress.bytes_done == progress.bytes_total == RANGE_BYTES + 3 * MIB + 6
        [notes] = [line for line in accounted(host.manifests) if line.path == "notes"]
        with (host.data / "got/notes").open("rb") as file:
            digest = read_digest(file.fileno(), 3 * MIB + 1)
        assert (notes.size, notes.digest) == (3 * MIB + 1, digest.hex())

    async def test_a_repeated_pull_of_one_file_reads_it_once(self, host, documents):
        write_random(documents / "notes", 500)
        await host.move("web:notes", "/data/mine")
        assert (host.data / "mine").read_bytes() == (documents / "notes").read_bytes()
        await host.move("web:notes", "/data/mine")
        assert (host.progress_counter.snapshot().files_unchanged, host.progress_counter.bytes_moved) == (1, 0)

    async def test_reading_respects_the_bandwidth_limit(self, host, documents, monkeypatch):
        taken: list[int] = []
        monkeypatch.setattr(RateLimiter, "acquire", lambda _, size: taken.append(size))
        write_random(documents / "broken", 2 * MIB)  # half of it is read, and nothing brought
        await host.fails("web:", "/data/got/", bandwidth_limit=MIB)
        assert sum(taken) >= MIB
        assert max(taken) <= MIB // 4

    async def test_an_incomplete_file_is_reported_and_the_rest_is_copied(self, host, documents):
        write_random(documents / "broken", 500)
        write_random(documents / "good", 500)
        error = await host.fails("web:", "/data/got/")
        assert [one.path for one in error.failures] == ["server-b:web:broken"]
        assert [path.name for path in (host.data / "got").iterdir()] == ["good"]

    async def test_an_excluded_file_is_not_read(self, host, documents):
        write_random(documents / "broken", 500)
        write_random(documents / "good", 500)
        await host.move("web:", "/data/got/", exclude=["broken"])
        assert [path.name for path in (host.data / "got").iterdir()] == ["good"]

    async def test_too_little_space_is_reported(self, host, documents, monkeypatch):
        usage = shutil.disk_usage(host.state)._replace(free=unsized_files.RESERVED_FREE_BYTES)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        write_random(documents / "deep/notes", 500)
        error = await host.fails("web:", "/data/got/")
        assert [one.code for one in error.failures] == ["size-unknown"]
        assert not (host.data / "got/deep/notes").exists()


def test_secrets_in_urls_are_removed():
    words = 'Get "https://me:s3cr3t@host/a?sv=1&sig=s3cr3t": forbidden'
    line = json.dumps({"level": "error", "msg": words}).encode()
    assert [observer for observer, _ in error_lines([line])] == ['Get "https://host/a": forbidden']
