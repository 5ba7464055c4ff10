"""Hops from and to remotes of the host's own rclone: real rclone, real files, servers on loopback."""

import asyncio
import gzip
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.config import RemoteConfig, RootConfig
from agent.errors import HopError
from agent.files.digests import RANGE_BYTES, read_digest
from agent.files.roots import Roots
from agent.host_info import find_rclone
from agent.movers import mover_for
from agent.pull import manifest_outbox
from agent.pull.bandwidth import RateLimiter
from agent.pull.destination import PARTIAL_PREFIX
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
from tests.support.hosts import TRANSFER, RecordingObserver, until
from tests.support.predicted import OVERWRITES, Upload, is_foretold

CONFIGURATION = """
[disk]
type = local

[archive]
type = alias
remote = disk:{far}

[nothing]
type = alias
remote = disk:{far}/is/not/there
"""
OFFERED = (
    RemoteConfig(name="archive", access="rw"),
    RemoteConfig(name="disk", access="ro", directory="{far}/team"),
    RemoteConfig(name="nothing", access="rw"),
    RemoteConfig(name="forgotten", access="rw"),
    RemoteConfig(name="web", access="rw"),
)


class Host:
    """server-b with /data, beside the directory that its remote `archive` is."""

    def __init__(self, folder: Path) -> None:
        self.data, self.state, self.far = folder / "data", folder / "agent", folder / "far"
        for each in (self.data, self.state, self.far):
            each.mkdir()
        self.configuration = folder / "rclone.conf"
        self.configuration.write_text(CONFIGURATION.format(far=self.far))
        offered = [
            remote.model_copy(update={"directory": remote.directory.format(far=self.far)})
            for remote in OFFERED
        ]
        self.remotes = Remotes(offered, self.configuration)
        self.tally, self.told = ProgressCounter(), RecordingObserver()
        self.manifests: ManifestOutbox | None = None

    def describe(self, name: str, **fields: str) -> None:
        """Another remote."""
        lines = [f"[{name}]", *(f"{key} = {value}" for key, value in fields.items())]
        with self.configuration.open("a") as file:
            file.write("\n".join(lines) + "\n")

    async def move(
        self, source: str, destination: str, patience: float | None = 0, **options: Any
    ) -> HopResult:
        self.tally, self.told = ProgressCounter(), RecordingObserver()
        order = Move(
            transfer_id=TRANSFER,
            hop_id=f"{TRANSFER}-0",
            attempt=1,
            source=place(source),
            destination=place(destination),
            route=RemoteRoute(),
            options=Options(**options),
        )
        roots = Roots([RootConfig(path="/data", access="rw", directory=self.data)])
        host = HostResources(roots, self.state, remotes=self.remotes, manifests=self.manifests)
        mover = mover_for(order, host=host, identities=None, credentials=no_credentials)
        if patience is not None:
            mover._patience = patience
        return await mover.move(order, self.tally, self.told)

    def progress(self) -> Progress:
        return self.tally.progress()

    async def fails(self, source: str, destination: str, **options: Any) -> HopError:
        with pytest.raises(HopError) as caught:
            await self.move(source, destination, **options)
        return caught.value


def place(text: str) -> AgentLocation | RemoteLocation:
    if text.startswith("/"):
        return AgentLocation(agent_id="server-b", path=text)
    remote, _, path = text.partition(":")
    return RemoteLocation(agent_id="server-b", remote=remote, path=path)


def upload_to(host: Host, target: str, folder: Path) -> Upload:
    def there() -> dict[str, bytes]:
        return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}

    def moves(**options: Any) -> Any:
        return host.move("/data/t/", target, **options)

    return Upload(host.data / "t", moves, there, host.progress)


def no_credentials(hop_id: str) -> Any:
    raise AssertionError("nobody asks the control plane for them")


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen[bytes]]:
    """Every rclone that was started."""
    found: list[subprocess.Popen[bytes]] = []
    really = RcloneProcess.start

    def start(self, *arguments, **more):
        found.append(really(self, *arguments, **more))
        return found[-1]

    monkeypatch.setattr(RcloneProcess, "start", start)
    return found


ODD = ("plain.txt", "Köln + Bonn 100%.mov", "a b/[c] #1?.txt", "名前/ü", "q'uote\"d", "tilde~/-dash")


def tree(folder: Path) -> None:
    for name in ODD:
        write_random(folder / name, 500)
    write_random(folder / "big", RANGE_BYTES + 5)
    (folder / "none").touch()
    os.utime(folder / "big", ns=(10**18, 10**18))


class TestFromARemote:
    async def test_a_tree_arrives_as_it_is(self, host):
        tree(host.far / "in")
        (host.far / "in/empty/inner").mkdir(parents=True)
        write_random(host.far / "beside", 5)

        await host.move("archive:in/", "/data/here/")

        assert differences(listing(host.far / "in"), listing(host.data / "here")) == []
        assert (host.data / "here/empty/inner").is_dir()
        assert (host.data / "here/big").stat().st_mtime_ns == 10**18
        progress = host.tally.progress()
        assert (progress.files_done, progress.bytes_done) == (progress.files_total, progress.bytes_total)
        assert host.told.ways == ["remote"]

    async def test_all_of_it_or_one_file_of_it(self, host):
        write_random(host.far / "deep/one.bin", 100)
        await host.move("archive:", "/data/all/")
        await host.move("archive:deep/one.bin", "/data/other.bin")
        assert (host.data / "all/deep/one.bin").read_bytes() == (host.far / "deep/one.bin").read_bytes()
        assert (host.data / "other.bin").read_bytes() == (host.far / "deep/one.bin").read_bytes()

    async def test_only_the_directory_that_is_offered_can_be_reached(self, host):
        write_random(host.far / "team/ours", 5)
        write_random(host.far / "theirs", 5)
        await host.move("disk:", "/data/got/")
        assert [path.name for path in (host.data / "got").iterdir()] == ["ours"]
        error = await host.fails(f"disk:{host.far}/theirs", "/data/x")
        assert error.problem.code == "source-missing"

    async def test_again_moves_nothing_and_a_new_version_comes(self, host):
        write_random(host.far / "in/a", 500)
        await host.move("archive:in/", "/data/")
        await host.move("archive:in/", "/data/")
        assert (host.tally.progress().files_unchanged, host.tally.moved_now) == (1, 0)
        write_random(host.far / "in/a", 501)
        await host.move("archive:in/", "/data/")
        assert (host.data / "a").read_bytes() == (host.far / "in/a").read_bytes()

    async def test_a_dry_run_and_a_mirror_know_what_is_there(self, host):
        write_random(host.far / "in/new", 5)
        write_random(host.data / "kept/old", 5)
        outcome = await host.move("archive:in/", "/data/kept/", delete_extra=True, dry_run=True)
        assert (outcome.preview.sent.files, outcome.preview.removed.files) == (1, 1)
        await host.move("archive:in/", "/data/kept/", delete_extra=True)
        assert [path.name for path in (host.data / "kept").iterdir()] == ["new"]

    @pytest.mark.parametrize(
        ("source", "destination"),
        [("archive:", "/data/"), ("archive:", "/data/sub/"), ("archive:sub/", "/data/")],
    )
    async def test_a_mirror_of_one_s_own_directory_removes_nothing(self, host, source, destination):
        """The remote is a directory of the agent's own root."""
        host.configuration.write_text(CONFIGURATION.format(far=host.data))
        write_random(host.data / "sub/b", 5)
        write_random(host.data / "a", 5)
        before = listing(host.data)
        error = await host.fails(source, destination, delete_extra=True)
        assert error.problem.code == "same-place"
        assert before.items() <= listing(host.data).items()
        assert not list(host.data.rglob(".crosshaul-*"))

    async def test_a_pause_costs_what_was_under_way_only(self, host):
        write_random(host.far / "in/big", 4 * RANGE_BYTES)
        moving = asyncio.create_task(
            host.move("archive:in/", "/data/", streams=1, bandwidth_limit=2 * RANGE_BYTES)
        )
        await until(lambda: host.tally.progress().bytes_done > 1.2 * RANGE_BYTES)
        moving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await moving
        assert [path.name[: len(PARTIAL_PREFIX)] for path in host.data.iterdir()] == [PARTIAL_PREFIX]

        await host.move("archive:in/", "/data/")

        assert (host.data / "big").read_bytes() == (host.far / "in/big").read_bytes()
        assert host.tally.moved_now <= 3 * RANGE_BYTES

    async def test_a_rclone_that_is_killed_is_started_again(self, host, started):
        write_random(host.far / "in/big", 3 * RANGE_BYTES)
        moving = asyncio.create_task(
            host.move("archive:in/", "/data/", patience=None, streams=2, bandwidth_limit=RANGE_BYTES)
        )
        await until(lambda: host.tally.progress().bytes_done)
        servers = [one for one in started if "rcd" in one.args]
        servers[0].kill()
        await moving
        assert (host.data / "big").read_bytes() == (host.far / "in/big").read_bytes()
        assert len([one for one in started if "rcd" in one.args]) == 2

    @pytest.mark.parametrize("source", ["archive:nothing/", "archive:nothing", "nothing:"])
    async def test_nothing_there_is_said(self, host, source):
        error = await host.fails(source, "/data/x/")
        assert error.problem.code == "source-missing"

    async def test_a_file_has_no_contents(self, host):
        write_random(host.far / "one.bin", 100)
        error = await host.fails("archive:one.bin/", "/data/x/")
        assert error.problem.code == "not-a-directory"


class TestWhatIsNotOffered:
    async def test_another_remote_of_the_same_configuration_is_refused(self, host, started):
        host.describe("secret", type="alias", remote=f"disk:{host.far}")
        for way in (("secret:", "/data/x/"), ("/data/", "secret:")):
            error = await host.fails(*way)
            assert (error.problem.code, error.problem.retryable) == ("remote-unknown", False)
            assert "archive" in error.problem.advice
        assert started == []

    async def test_nothing_is_written_to_one_that_is_to_be_read(self, host, started):
        write_random(host.data / "x", 5)
        error = await host.fails("/data/x", "disk:x")
        assert error.problem.code == "read-only-remote"
        assert started == []

    @pytest.mark.parametrize("way", [("forgotten:in/", "/data/x/"), ("/data/", "forgotten:")])
    async def test_one_that_rclone_does_not_know_is_said(self, host, way):
        write_random(host.data / "x", 5)
        error = await host.fails(*way)
        assert (error.problem.code, error.problem.retryable) == ("remote-not-described", False)

    async def test_without_a_configuration_it_is_said_which(self, host):
        host.configuration.unlink()
        error = await host.fails("archive:in/", "/data/x/")
        assert error.problem.code == "remote-not-described"
        assert str(host.configuration) in error.problem.message


class TestToARemote:
    @pytest.mark.parametrize("overwrite", OVERWRITES)
    async def test_a_dry_run_foretells_what_will_be_done(self, host, overwrite):
        await is_foretold(upload_to(host, "archive:kept/", host.far / "kept"), overwrite)

    async def test_a_tree_s_files_arrive_with_their_times(self, host):
        tree(host.data / "t")
        up = await host.move("/data/t/", "archive:kept/")
        assert differences(listing(host.data / "t"), listing(host.far / "kept")) == []
        assert (host.far / "kept/big").stat().st_mtime_ns // 10**9 == 10**9
        progress = host.tally.progress()
        assert (progress.files_done, progress.bytes_done) == (progress.files_total, progress.bytes_total)
        assert host.told.ways == ["remote"]
        assert up.digest != "0" * 32

    async def test_one_file_arrives_under_the_name_it_is_given(self, host):
        write_random(host.data / "one", 500)
        await host.move("/data/one", "archive:other name")
        await host.move("/data/one", "archive:deep/er")
        for name in ("other name", "deep/er"):
            assert (host.far / name).read_bytes() == (host.data / "one").read_bytes()

    async def test_again_moves_nothing(self, host):
        write_random(host.data / "t/one", 500)
        await host.move("/data/t/", "archive:kept/")
        await host.move("/data/t/", "archive:kept/")
        assert (host.tally.progress().files_unchanged, host.tally.moved_now) == (1, 0)

    async def test_what_is_there_and_differs_stays_if_it_is_to(self, host):
        write_random(host.data / "t/one", 500)
        write_random(host.far / "kept/one", 600)
        error = await host.fails("/data/t/", "archive:kept/", overwrite="fail")
        assert [one.code for one in error.failures] == ["destination-exists"]
        await host.move("/data/t/", "archive:kept/", overwrite="never")
        assert (host.far / "kept/one").stat().st_size == 600

    async def test_a_link_is_named_and_the_rest_arrives(self, host):
        write_random(host.data / "t/good", 5)
        (host.data / "t/link").symlink_to("good")
        error = await host.fails("/data/t/", "archive:kept/")
        assert [one.code for one in error.failures] == ["not-for-remote"]
        assert (host.far / "kept/good").exists()

    async def test_a_pause_ends_rclone_soon_and_leaves_nothing_half_done(self, host, started):
        write_random(host.data / "big", 8 * MIB)
        moving = asyncio.create_task(host.move("/data/big", "archive:big", bandwidth_limit=MIB))
        await until(lambda: host.tally.progress().bytes_done)
        moving.cancel()
        async with asyncio.timeout(20):
            with pytest.raises(asyncio.CancelledError):
                await moving
        assert list(host.far.iterdir()) == []
        assert all(one.poll() is not None for one in started)

    async def test_a_rclone_that_is_killed_ends_the_attempt_and_the_next_goes_on(self, host, started):
        write_random(host.data / "t/big", 8 * MIB)
        moving = asyncio.create_task(host.move("/data/t/", "archive:kept/", bandwidth_limit=MIB))
        await until(lambda: host.tally.progress().bytes_done)
        next(one for one in started if "copy" in one.args).kill()
        with pytest.raises(HopError) as caught:
            await moving
        assert (caught.value.problem.code, caught.value.problem.retryable) == ("remote-failed", True)
        await host.move("/data/t/", "archive:kept/")
        assert differences(listing(host.data / "t"), listing(host.far / "kept")) == []


PASSWORD = "Xy7-never-to-be-said"


def obscured(password: str) -> str:
    """As rclone keeps it in its configuration."""
    done = subprocess.run(
        [find_rclone(), "obscure", "-"], input=password, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def dav(host, tmp_path):
    """A WebDAV server with a password that knows of no times but its own, as the remote `web`."""
    rclone, (port,) = find_rclone(), free_ports(1)
    folder = tmp_path / "dav"
    folder.mkdir()
    server = subprocess.Popen(
        [rclone, "serve", "webdav", folder, f"--addr=127.0.0.1:{port}"],
        env=os.environ | {"RCLONE_CONFIG": "", "RCLONE_USER": "u", "RCLONE_PASS": PASSWORD},
        stderr=subprocess.DEVNULL,
    )
    host.describe(
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


class TestOverWebDav:
    async def test_there_and_back_bit_by_bit(self, host, dav):
        tree(host.data / "t")
        await host.move("/data/t/", "web:kept/")
        assert differences(listing(host.data / "t"), listing(dav / "kept")) == []
        await host.move("web:kept/", "/data/back/")
        assert differences(listing(host.data / "t"), listing(host.data / "back")) == []

    async def test_without_times_a_change_of_the_same_size_is_not_taken_for_the_same(self, host, dav):
        write_random(host.data / "t/one", 500)
        await host.move("/data/t/", "web:")
        write_random(host.data / "t/one", 500)
        await host.move("/data/t/", "web:")
        assert (dav / "one").read_bytes() == (host.data / "t/one").read_bytes()

    @pytest.mark.parametrize("overwrite", OVERWRITES)
    async def test_a_dry_run_foretells_what_will_be_done(self, host, dav, overwrite):
        await is_foretold(upload_to(host, "web:kept/", dav / "kept"), overwrite)

    async def test_a_wrong_password_is_said_and_no_password_is(self, host, dav, started):
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
        for one in started:
            assert not any(secret in str(one.args) for secret in (PASSWORD, wrong))


@contextmanager
def web_server(host: Host, folder: Path, handler: type[SimpleHTTPRequestHandler]) -> Iterator[Path]:
    """As the remote `web`, serving what is in the folder."""
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host.describe("web", type="http", url=f"http://127.0.0.1:{server.server_address[1]}/")
    try:
        yield folder
    finally:
        server.shutdown()
        server.server_close()


class Whole(SimpleHTTPRequestHandler):
    """Gives a whole file to whoever asks for a part."""

    def log_message(self, *what: Any) -> None:
        """Nothing."""


@pytest.fixture
def site(host, tmp_path):
    """A plain web server, as the remote `web`."""
    with web_server(host, tmp_path / "site", Whole) as folder:
        yield folder


class TestFromAWebServer:
    async def test_what_it_gives_only_as_a_whole_is_never_taken_for_a_part(self, host, site):
        write_random(site / "small", 1000)
        write_random(site / "large", 2 * RANGE_BYTES)
        error = await host.fails("web:", "/data/got/")
        assert [one.code for one in error.failures] == ["no-ranges"]
        assert (host.data / "got/small").read_bytes() == (site / "small").read_bytes()
        assert not (host.data / "got/large").exists()

    async def test_nothing_can_be_written_to_it(self, host, site):
        write_random(host.data / "x", 5)
        error = await host.fails("/data/x", "web:x")
        problem = error.failures[0] if error.failures else error.problem
        assert (problem.code, problem.retryable) == ("read-only-remote", False)


class Documents(SimpleHTTPRequestHandler):
    """Tells of nothing how large it is, and of one thing never all."""

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
        """Nothing."""


@pytest.fixture
def documents(host, tmp_path):
    """Of a service that makes each when it is asked for, as the remote `web`."""
    with web_server(host, tmp_path / "documents", Documents) as folder:
        yield folder


def accounted(of: ManifestOutbox) -> list[ManifestLine]:
    """What the one manifest that waits will say."""
    [waiting] = of.waiting()
    with tempfile.TemporaryFile() as file:
        manifest_outbox.write(waiting, file)
        file.seek(0)
        with gzip.open(file) as lines:
            return [ManifestLine.model_validate_json(line) for line in lines]


class TestWhatHasNoSizeBeforeItIsRead:
    async def test_arrives_whole_with_the_size_and_digest_that_it_has(self, host, documents):
        host.manifests = ManifestOutbox(host.state / "manifests")
        write_random(documents / "notes", 3 * MIB + 1)
        write_random(documents / "deep/large", RANGE_BYTES + 5)
        (documents / "none").touch()

        await host.move("web:", "/data/got/")

        assert differences(listing(documents), listing(host.data / "got")) == []
        progress = host.tally.progress()
        assert progress.bytes_done == progress.bytes_total == RANGE_BYTES + 3 * MIB + 6
        [notes] = [line for line in accounted(host.manifests) if line.path == "notes"]
        with (host.data / "got/notes").open("rb") as file:
            digest = read_digest(file.fileno(), 3 * MIB + 1)
        assert (notes.size, notes.digest) == (3 * MIB + 1, digest.hex())

    async def test_one_alone_and_again_costs_no_second_file(self, host, documents):
        write_random(documents / "notes", 500)
        await host.move("web:notes", "/data/mine")
        assert (host.data / "mine").read_bytes() == (documents / "notes").read_bytes()
        await host.move("web:notes", "/data/mine")
        assert (host.tally.progress().files_unchanged, host.tally.moved_now) == (1, 0)

    async def test_reading_it_waits_for_the_hop_s_limit(self, host, documents, monkeypatch):
        taken: list[int] = []
        monkeypatch.setattr(RateLimiter, "take", lambda _, size: taken.append(size))
        write_random(documents / "broken", 2 * MIB)  # half of it is read, and nothing brought
        await host.fails("web:", "/data/got/", bandwidth_limit=MIB)
        assert sum(taken) >= MIB
        assert max(taken) <= MIB // 4

    async def test_what_breaks_off_is_named_and_the_rest_arrives(self, host, documents):
        write_random(documents / "broken", 500)
        write_random(documents / "good", 500)
        error = await host.fails("web:", "/data/got/")
        assert [one.path for one in error.failures] == ["server-b:web:broken"]
        assert [path.name for path in (host.data / "got").iterdir()] == ["good"]

    async def test_what_is_left_out_is_not_read(self, host, documents):
        write_random(documents / "broken", 500)
        write_random(documents / "good", 500)
        await host.move("web:", "/data/got/", exclude=["broken"])
        assert [path.name for path in (host.data / "got").iterdir()] == ["good"]

    async def test_without_room_to_read_it_it_is_named(self, host, documents, monkeypatch):
        monkeypatch.setattr(unsized_files, "RESERVED_FREE_BYTES", 2**62)
        write_random(documents / "deep/notes", 500)
        error = await host.fails("web:", "/data/got/")
        assert [one.code for one in error.failures] == ["size-unknown"]
        assert not (host.data / "got/deep/notes").exists()


def test_no_secret_in_an_address_is_told():
    words = 'Get "https://me:s3cr3t@host/a?sv=1&sig=s3cr3t": forbidden'
    line = json.dumps({"level": "error", "msg": words}).encode()
    assert [told for told, _ in error_lines([line])] == ['Get "https://host/a": forbidden']
