"""Manifests: correct for real trees, and uploaded to the control plane in the end."""

import asyncio
import gzip
import os
import socket
import sqlite3
from base64 import b64decode
from pathlib import Path
from typing import IO

import httpx
import pytest

from agent.backoff import Backoff
from agent.cloud.manifest_upload import ManifestApi
from agent.files.digests import MIB, RANGE_BYTES, read_digest
from agent.files.listing import FileEntry
from agent.problems import OUTCOME_UNREADABLE, PERMISSION_DENIED
from agent.pull import ledger, manifest_outbox
from agent.pull.manifest_outbox import ManifestOutbox, ManifestRefusedError, ManifestUploader
from events.manifest import ManifestLine
from tests.support.hosts import TRANSFER, Hosts
from tests.support.waiting import HANG_TIMEOUT_S, until

WHY = PERMISSION_DENIED.problem(path="/data/b")

HOP = f"{TRANSFER}-0"
ELSEWHERE = b"caf\xe9.mov"


@pytest.fixture
def hosts(tmp_path: Path):
    hosts = Hosts(tmp_path)
    hosts.manifests = ManifestOutbox(hosts.state / "manifests")
    yield hosts
    hosts.close()


def manifest_lines(of: ManifestOutbox) -> dict[str, ManifestLine]:
    """Return the lines of the only waiting manifest, by path."""
    [waiting] = of.waiting()
    with (waiting.parent / "read").open("w+b") as file:
        manifest_outbox.write(waiting, file)
        file.seek(0)
        return read(file)


def read(file: IO[bytes]) -> dict[str, ManifestLine]:
    with gzip.open(file) as lines:
        found = [ManifestLine.model_validate_json(line) for line in lines]
    assert len({line.decoded_path for line in found}) == len(found), "something is told twice"
    return {line.path: line for line in found}


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return read_digest(file.fileno(), path.stat().st_size).hex()


def outcomes(of: ManifestOutbox) -> dict[str, str]:
    return {path: line.outcome for path, line in manifest_lines(of).items() if line.kind != "d"}


class TestContent:
    async def test_digests_match_the_destination(self, hosts):
        (hosts.data / "day 1").mkdir()
        (hosts.data / "day 1/small ü").write_bytes(b"small")
        (hosts.data / "big").write_bytes(os.urandom(RANGE_BYTES + MIB))
        (hosts.data / "empty").touch()
        (hosts.data / "link").symlink_to("big")
        (hosts.data / "second name").hardlink_to(hosts.data / "empty")
        (hosts.data / os.fsdecode(ELSEWHERE)).write_bytes(b"e")
        await hosts.move(hosts.order("/data/", "/archive/"))

        lines = manifest_lines(hosts.manifests)

        kinds = {path: line.kind for path, line in lines.items() if path}
        assert kinds == {
            "day 1": "d",
            "day 1/small ü": "f",
            "big": "f",
            "empty": "f",
            "second name": "f",
            "link": "l",
            "caf\\xe9.mov": "f",
        }
        for line in lines.values():
            assert (line.outcome, line.problem) == ("sent", None)
            if line.kind == "f":
                assert line.digest == digest(hosts.archive / os.fsdecode(line.decoded_path))

    async def test_non_utf_8_name_is_kept_byte_for_byte(self, hosts):
        (hosts.data / os.fsdecode(ELSEWHERE)).touch()
        (hosts.data / "caf\\xe9.mov").touch()  # would look the same
        await hosts.move(hosts.order("/data/", "/archive/"))
        [waiting] = hosts.manifests.waiting()
        book = ledger.Ledger(waiting)
        lines = [line for line in manifest_outbox.lines(book, HOP, 0) if line.kind == "f"]
        book.close()
        assert {line.decoded_path for line in lines} == {ELSEWHERE, b"caf\\xe9.mov"}
        assert [b64decode(line.raw) for line in lines if line.raw] == [ELSEWHERE]

    async def test_unchanged_and_kept_files(self, hosts):
        for folder in (hosts.data, hosts.archive):
            (folder / "same").write_bytes(b"same")
            os.utime(folder / "same", (1, 1))
            (folder / "same link").symlink_to("same")
        (hosts.data / "other").write_bytes(b"from the source")
        (hosts.archive / "other").write_bytes(b"not to be replaced")
        (hosts.data / "new").touch()
        await hosts.move(hosts.order("/data/", "/archive/", overwrite="never"))
        found_outcomes = outcomes(hosts.manifests)
        assert found_outcomes["same"] == "unchanged"
        assert found_outcomes["other"] == "left"
        assert found_outcomes["new"] == "sent"

    async def test_removed_files(self, hosts):
        (hosts.data / "new").touch()
        (hosts.archive / "extra").write_bytes(b"xx")
        await hosts.move(hosts.order("/data/", "/archive/", delete_extra=True))
        line = manifest_lines(hosts.manifests)["extra"]
        assert (line.outcome, line.size) == ("removed", 2)

    async def test_failed_files_and_reasons(self, hosts):
        (hosts.data / "good").write_bytes(b"good")
        (hosts.data / "in the way").write_bytes(b"file")
        (hosts.archive / "in the way").mkdir()
        await hosts.fails(hosts.order("/data/", "/archive/"))
        lines = manifest_lines(hosts.manifests)
        assert lines["good"].outcome == "sent"
        assert lines["in the way"].outcome == "failed"
        assert "in the way" in str(lines["in the way"].problem)

    async def test_retry_replaces_the_manifest(self, hosts):
        (hosts.data / "good").write_bytes(b"good")
        (hosts.data / "in the way").write_bytes(b"file")
        (hosts.archive / "in the way").mkdir()
        order = hosts.order("/data/", "/archive/")
        await hosts.fails(order)
        (hosts.archive / "in the way").rmdir()
        await hosts.move(order)
        assert outcomes(hosts.manifests) == {"good": "sent", "in the way": "sent"}

    async def test_canceled_hop_lists_what_it_wrote(self, hosts):
        for number in range(3):
            (hosts.data / f"{number}").write_bytes(os.urandom(2 * MIB))
        (hosts.data / "large").write_bytes(os.urandom(3 * MIB))
        order = hosts.order("/data/", "/archive/", streams=1)
        await hosts.moves_until(order, lambda progress: progress.files_done == 3)
        await hosts.mover(order).discard(order)
        assert outcomes(hosts.manifests) == dict.fromkeys("012", "sent")

    async def test_entries_that_cannot_be_moved_are_listed(self, hosts):
        (hosts.data / "good").write_bytes(b"good")
        os.mkfifo(hosts.data / "pipe")
        (hosts.data / "dangling").symlink_to("nothing")
        (hosts.data / "round").mkdir()
        (hosts.data / "round/again").symlink_to("..")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(hosts.data / "socket"))
        listener.close()
        await hosts.fails(hosts.order("/data/", "/archive/", symlinks="follow"))
        lines = manifest_lines(hosts.manifests)
        assert lines["good"].outcome == "sent"
        assert lines["round/again"].problem
        odd = {"pipe", "dangling", "socket"}
        assert {path for path, line in lines.items() if line.kind == "other"} == odd
        assert {lines[path].outcome for path in odd} == {"failed"}
        assert all(lines[path].problem for path in odd)

    def test_kinds_of_older_agents_are_translated(self, tmp_path):
        path = tmp_path / f"{HOP}.1.db"
        book = ledger.Ledger(path)
        book._db.execute("INSERT INTO fates VALUES (CAST('pipe' AS BLOB), '!', -1, 'failed', NULL, 1e12)")
        book.outcomes.record([FileEntry("f", "b", 3)], "failed", WHY)
        book.close()
        with (tmp_path / "read").open("w+b") as file:
            manifest_outbox.write(path, file)
            file.seek(0)
            found = read(file)
        assert (found["pipe"].kind, found["pipe"].size, found["pipe"].outcome) == ("other", 0, "failed")
        assert found["b"].problem == WHY

    def test_unreadable_row_does_not_affect_the_others(self, tmp_path):
        path = tmp_path / f"{HOP}.1.db"
        book = ledger.Ledger(path)
        book.outcomes.record([FileEntry("f", "b", 3)], "failed", WHY)
        book._db.execute("INSERT INTO fates VALUES (CAST('c' AS BLOB), 'f', 'many', 'eaten', 7, 'then')")
        book.close()
        with (tmp_path / "read").open("w+b") as file:
            manifest_outbox.write(path, file)
            file.seek(0)
            found = read(file)
        assert (found["c"].outcome, found["c"].kind) == ("unfinished", "other")
        assert found["c"].problem == OUTCOME_UNREADABLE.problem()
        assert found["b"].problem == WHY

    async def test_dry_run_has_no_manifest(self, hosts):
        (hosts.data / "a").touch()
        await hosts.move(hosts.order("/data/", "/archive/", dry_run=True))
        assert hosts.manifests.waiting() == []

    def test_ledger_of_an_older_agent_can_be_resumed(self, tmp_path):
        path = tmp_path / "old.db"
        old = sqlite3.connect(path)
        old.executescript(
            "CREATE TABLE files (path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,"
            " digest BLOB) WITHOUT ROWID; INSERT INTO files VALUES (CAST('a' AS BLOB), 1, 1, zeroblob(16));"
            "CREATE TABLE unchanged (path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL)"
            " WITHOUT ROWID"
        )
        old.close()
        book = ledger.Ledger(path)
        book.complete(FileEntry("f", "b"), bytes(16))
        book.outcomes.record_unchanged([FileEntry("l", "c")])
        assert [(one.path, one.outcome, one.kind) for one in book.outcomes] == [
            ("a", "sent", "f"),
            ("b", "sent", "f"),
            ("c", "unchanged", "l"),
        ]
        book.close()


class ManifestCloud:
    """A control plane that accepts manifests while it is available."""

    def __init__(self) -> None:
        self.away = self.refuses = False
        self.tries = 0
        self.has: dict[str, dict[str, ManifestLine]] = {}
        self.succeeded: dict[str, bool] = {}

    def __call__(self, hop_id: str, manifest: IO[bytes], *, succeeded: bool) -> None:
        self.tries += 1
        if self.refuses:
            raise ManifestRefusedError("not yours")
        if self.away:
            raise ConnectionError("cut")
        self.has[hop_id] = read(manifest)
        self.succeeded[hop_id] = succeeded


def add_ledger(of: ManifestOutbox, folder: Path, hop_id: str, *names: str) -> None:
    book = ledger.Ledger(ledger.ledger_path(folder, hop_id))
    book.complete_all((FileEntry("f", name), bytes(16)) for name in names)
    of.keep(book, hop_id)


class TestUpload:
    @pytest.fixture
    def waiting(self, tmp_path):
        return ManifestOutbox(tmp_path / "manifests")

    @pytest.fixture
    async def cloud(self, waiting):
        cloud = ManifestCloud()
        delivery = asyncio.create_task(
            ManifestUploader(waiting, cloud, backoff=Backoff(0.01, 0.02)).upload_manifests()
        )
        yield cloud
        delivery.cancel()

    async def test_is_uploaded_at_once_and_removed(self, waiting, cloud, tmp_path):
        await asyncio.sleep(0)
        add_ledger(waiting, tmp_path, HOP, "a")
        await until(lambda: HOP in cloud.has and not list((tmp_path / "manifests").iterdir()))
        assert set(cloud.has[HOP]) == {"a"}

    async def test_interrupted_upload_is_retried(self, waiting, cloud, tmp_path):
        cloud.away = True
        add_ledger(waiting, tmp_path, HOP, "a")
        await until(lambda: cloud.tries > 2)
        cloud.away = False
        await until(lambda: HOP in cloud.has)

    async def test_rejected_manifest_is_not_retried(self, waiting, cloud, tmp_path):
        cloud.refuses = True
        add_ledger(waiting, tmp_path, HOP, "a")
        await until(lambda: cloud.tries and not waiting.waiting())

    async def test_kill_loses_no_manifest(self, waiting, tmp_path):
        add_ledger(waiting, tmp_path, HOP, "a")
        (tmp_path / "manifests/half.1.part").touch()
        cloud = ManifestCloud()
        again = asyncio.create_task(
            ManifestUploader(ManifestOutbox(tmp_path / "manifests"), cloud).upload_manifests()
        )
        await until(lambda: HOP in cloud.has and not list((tmp_path / "manifests").iterdir()))
        again.cancel()

    async def test_a_directory_in_the_place_of_a_copy_stops_no_manifest(self, waiting, tmp_path):
        add_ledger(waiting, tmp_path, HOP, "a")
        folder = tmp_path / "manifests"
        (folder / "half.1.part/inner").mkdir(parents=True)
        cloud = ManifestCloud()
        again = asyncio.create_task(ManifestUploader(ManifestOutbox(folder), cloud).upload_manifests())
        await until(lambda: again.done() or (HOP in cloud.has and not list(folder.iterdir())))
        assert not again.done(), again.exception()
        again.cancel()
        assert [path.name.partition("-")[2] for path in (tmp_path / "damaged").iterdir()] == ["half.1.part"]

    @pytest.mark.parametrize("turns", range(6))
    async def test_a_stop_at_the_moment_of_a_new_manifest_is_not_missed(self, waiting, tmp_path, turns):
        """Else the agent would end only when its time to stop is over."""
        add_ledger(waiting, tmp_path, HOP, "a")
        tries: list[str] = []

        def refuse(hop_id: str, _: object, *, succeeded: bool) -> None:
            tries.append(hop_id)
            raise OSError("the API is away")

        uploader = ManifestUploader(waiting, refuse, backoff=Backoff(1000, 1000))
        delivery = asyncio.create_task(uploader.upload_manifests())
        await until(lambda: tries)
        await asyncio.to_thread(lambda: None)  # behind the thread that has tried
        await asyncio.sleep(0)
        waiting.on_enqueue()
        for _ in range(turns):
            await asyncio.sleep(0)
        delivery.cancel()
        async with asyncio.timeout(HANG_TIMEOUT_S):
            await asyncio.wait([delivery])

    async def test_a_success_is_told_from_what_may_go_on(self, waiting, cloud, tmp_path):
        book = ledger.Ledger(ledger.ledger_path(tmp_path, HOP))
        waiting.keep(book, HOP, goes_on=True)
        await until(lambda: HOP in cloud.has)
        assert not cloud.succeeded[HOP]
        waiting.keep(book, HOP, succeeded=True)
        await until(lambda: cloud.succeeded[HOP])

    def test_only_the_latest_ledger_of_a_hop_is_sent(self, waiting, tmp_path):
        add_ledger(waiting, tmp_path, HOP, "first")
        add_ledger(waiting, tmp_path, HOP, "first", "second")
        assert set(manifest_lines(waiting)) == {"first", "second"}

    def test_outbox_size_is_bounded(self, tmp_path):
        few = ManifestOutbox(tmp_path / "manifests", max_waiting_bytes=200_000)
        for number in range(9):
            add_ledger(few, tmp_path, f"{TRANSFER}-{number}", *map(str, range(100)))
        kept = [manifest_outbox.hop_of(path) for path in few.waiting()]
        assert 0 < len(kept) < 9
        assert kept[-1] == f"{TRANSFER}-8"

    def test_large_manifest_is_not_held_in_memory(self, waiting, tmp_path):
        """Ten thousand files show that the ledger is read in pages."""
        add_ledger(waiting, tmp_path, HOP, *map(str, range(10_000)))
        [path] = waiting.waiting()
        book = ledger.Ledger(path)
        asked: list[str] = []
        book._db.set_trace_callback(asked.append)
        lines = manifest_outbox.lines(book, HOP, 0)
        next(lines)
        assert len(asked) == 1
        assert sum(1 for _ in lines) == 9_999
        book.close()


class TestManifestApi:
    """The HTTP requests of an upload."""

    def post(self, answer, manifest: Path) -> None:
        transport = httpx.MockTransport(answer)
        with (
            httpx.Client(base_url="http://api/v1/", transport=transport) as client,
            manifest.open("rb") as it,
        ):
            ManifestApi("server-b", lambda: ("the-key",), client)(HOP, it, succeeded=True)

    @pytest.fixture
    def manifest(self, tmp_path):
        path = tmp_path / "manifest"
        path.write_bytes(b"zipped")
        return path

    def test_requests_an_upload_url_and_uploads(self, manifest):
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            place = {"url": "http://bucket/key?signed", "headers": {"Content-Type": "application/gzip"}}
            body = place | {"expires_at": "2026-11-24T00:00:00Z"}
            return httpx.Response(200, json=body if request.method == "POST" else None)

        self.post(answer, manifest)
        asked, put = seen
        assert asked.url.path == "/v1/agents/server-b/manifests"
        assert asked.headers["X-Agent-Key"] == "the-key"
        assert (put.method, str(put.url), put.read()) == ("PUT", "http://bucket/key?signed", b"zipped")
        assert put.headers["Content-Length"] == "6"
        assert "X-Agent-Key" not in put.headers

    @pytest.mark.parametrize(
        ("status", "error"), [(403, ManifestRefusedError), (409, OSError), (503, OSError)]
    )
    def test_which_errors_are_permanent(self, manifest, status, error):
        with pytest.raises(error):
            self.post(lambda _: httpx.Response(status), manifest)
