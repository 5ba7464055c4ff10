"""The state directory after damage to the disk, or as another version left it."""

import asyncio
import gzip
import json
import logging
import os
import time

import pytest

from agent import lock
from agent.backoff import Backoff
from agent.cloud.command_verifier import CommandVerifier
from agent.cloud.messages import Connected
from agent.errors import HostError
from agent.files.listing import FileEntry
from agent.identity.registration import Files
from agent.lane.peer_paths import PeerPath, PeerPathCache
from agent.problems import OUTCOME_UNREADABLE
from agent.pull.ledger import Ledger, ledger_path
from agent.pull.manifest_outbox import ManifestOutbox, ManifestUploader
from agent.pull.pull import ABANDONED_AFTER_S, discard_abandoned
from agent.quarantine import MAX_FILES, Quarantine
from agent.status import Status, overview
from agent.updating.state_files import read_record
from events.manifest import ManifestLine
from tests.support.fakes_agent import AGENT, TRANSFER, Signer
from tests.support.fakes_keys import Authority, register
from tests.support.waiting import until

HOP = f"{TRANSFER}-0"
NOISE = [b"", b"\0" * 5000, b"noise" * 2000, b"SQLite format 3\0" + b"\xff" * 5000]


def quarantined(state) -> list[str]:
    return sorted(path.name.partition("-")[2] for path in (state / "damaged").glob("*"))


class TestLedgers:
    @pytest.mark.parametrize("content", NOISE)
    async def test_a_hop_with_a_damaged_ledger_starts_a_new_one(self, hosts, content):
        (hosts.data / "a").write_bytes(b"a")
        move = hosts.order("/data/", "/archive/")
        path = ledger_path(hosts.state, move.hop_id)
        path.parent.mkdir()
        path.write_bytes(content)
        await hosts.move(move)
        assert (hosts.archive / "a").read_bytes() == b"a"
        assert quarantined(hosts.state) == ([path.name] if content else [])

    async def test_a_ledger_damaged_during_an_attempt_fails_it_and_the_next_starts_a_new_one(self, hosts):
        (hosts.data / "a").write_bytes(b"a")
        move = hosts.order("/data/", "/archive/")
        path = ledger_path(hosts.state, move.hop_id)
        ledger = Ledger(path)
        ledger.begin("/archive/")
        ledger.complete_all((FileEntry("f", f"{number:06}", 1, 1), bytes(16)) for number in range(20_000))
        ledger.close()
        size = path.stat().st_size
        with path.open("r+b") as file:  # the part that is checked at opening stays intact
            file.seek(size // 2)
            file.write(b"\xff" * (size - size // 2))
        error = await hosts.fails(move)
        assert (error.problem.code, error.problem.retryable) == ("ledger-damaged", True)
        assert path.name in quarantined(hosts.state)
        await hosts.move(move)
        assert (hosts.archive / "a").read_bytes() == b"a"

    @pytest.mark.parametrize("content", NOISE)
    def test_damaged_abandoned_ledgers_do_not_prevent_a_start(self, hosts, content):
        path = ledger_path(hosts.state, HOP)
        path.parent.mkdir()
        path.write_bytes(content)
        (path.parent / "folder.db").mkdir()
        good = ledger_path(hosts.state, f"{TRANSFER}-1")
        ledger = Ledger(good)
        ledger.begin("/archive/")
        ledger.close()
        old = time.time() - ABANDONED_AFTER_S - 60
        for file in path.parent.iterdir():
            os.utime(file, (old, old))
        discard_abandoned(hosts.roots, hosts.state, ())
        assert not path.exists()
        assert not good.exists()

    async def test_a_canceled_hop_with_a_damaged_ledger_is_discarded(self, hosts):
        move = hosts.order("/data/", "/archive/")
        path = ledger_path(hosts.state, move.hop_id)
        path.parent.mkdir()
        path.write_bytes(NOISE[2])
        await hosts.mover(move).discard(move)
        assert quarantined(hosts.state) == [path.name]


class TestManifests:
    async def test_a_damaged_manifest_says_so_and_the_others_are_sent(self, tmp_path):
        manifests = ManifestOutbox(tmp_path / "manifests")
        for number in range(3):
            ledger = Ledger(ledger_path(tmp_path, f"{TRANSFER}-{number}"))
            ledger.complete_all([(FileEntry("f", "a"), bytes(16))])
            manifests.keep(ledger, f"{TRANSFER}-{number}")
        first = manifests.waiting()[0]
        first.write_bytes(NOISE[2])
        for name in ("odd.db", "not-a-hop.1.db", f"{HOP}.soon.db", f"{HOP}.db"):
            (tmp_path / "manifests" / name).write_bytes(b"x")
        (tmp_path / "manifests" / f"{TRANSFER}-9.5.db").mkdir()
        sent: dict[str, list[ManifestLine]] = {}
        interrupted = iter([True])

        def send(hop_id, manifest, *, succeeded):
            if next(interrupted, False):
                raise ConnectionError("cut")
            lines = gzip.decompress(manifest.read()).splitlines()
            sent[hop_id] = [ManifestLine.model_validate_json(line) for line in lines]

        delivery = ManifestUploader(manifests, send, backoff=Backoff(0.01, 0.02))
        task = asyncio.create_task(delivery.upload_manifests())
        await until(lambda: len(sent) == 3 and len(quarantined(tmp_path)) == 6)
        assert not task.done()
        task.cancel()
        [damaged] = sent[f"{TRANSFER}-0"]
        assert (damaged.path, damaged.outcome, damaged.problem) == (
            "",
            "unfinished",
            OUTCOME_UNREADABLE.problem(),
        )
        assert [line.path for number in (1, 2) for line in sent[f"{TRANSFER}-{number}"]] == ["a", "a"]
        assert manifests.waiting() == []

    async def test_an_error_while_sending_does_not_quarantine_the_ledger(self, tmp_path):
        manifests = ManifestOutbox(tmp_path / "manifests")
        ledger = Ledger(ledger_path(tmp_path, HOP))
        ledger.complete_all([(FileEntry("f", "a"), bytes(16))])
        manifests.keep(ledger, HOP)
        attempts: list[str] = []

        def send(hop_id, _, *, succeeded):
            attempts.append(hop_id)
            if len(attempts) < 3:
                raise KeyError("the API answers something else")

        task = asyncio.create_task(
            ManifestUploader(manifests, send, backoff=Backoff(0.01, 0.02)).upload_manifests()
        )
        await until(lambda: len(attempts) == 3 and not manifests.waiting())
        task.cancel()
        assert quarantined(tmp_path) == []


class TestSmallFiles:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"[1]",
            b"7",
            b"\xff",
            b'{"server-c": 3}',
            b'{"Not One": {"dialed": true, "address": ""}}',
            b"[" * 100_000,
            json.dumps({"server-c": {"address": "x"}}).encode(),
        ],
    )
    def test_peer_paths_that_cannot_be_read_are_quarantined(self, tmp_path, content):
        path = tmp_path / "routes.json"
        path.write_bytes(content)
        routes = PeerPathCache(path)
        assert routes.all() == {}
        assert quarantined(tmp_path) == ["routes.json"]
        routes.remember("server-c", PeerPath(dialed=True, address="10.0.0.2:1"))
        assert PeerPathCache(path).all() == {"server-c": PeerPath(dialed=True, address="10.0.0.2:1")}

    def test_a_pipe_in_place_of_the_peer_paths_does_not_prevent_a_start(self, tmp_path):
        os.mkfifo(tmp_path / "routes.json")
        assert PeerPathCache(tmp_path / "routes.json").all() == {}

    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000])
    def test_an_updater_s_record_that_cannot_be_read_is_ignored(self, tmp_path, content):
        (tmp_path / "update.json").write_bytes(content)
        assert read_record(tmp_path / "update.json") is None
        assert read_record(tmp_path) is None

    def test_a_status_file_that_cannot_be_written_or_deleted_is_logged(self, tmp_path, caplog):
        (tmp_path / "status.json").mkdir()
        status = Status(tmp_path / "status.json")
        with caplog.at_level(logging.WARNING):
            status.delete_file()
            status.note(Connected(session_present=True))
        assert [record.message for record in caplog.records] == ["status not removed", "status not written"]

    def test_status_of_a_damaged_state_directory_is_reported(self, tmp_path):
        files = Files(tmp_path)
        files.journal.write_bytes(NOISE[2])
        files.lock.write_bytes(b"not a number")
        with lock.exclusive(files.lock):
            files.lock.write_bytes(b"noise")
            assert overview(files).running

    def test_a_damaged_command_key_does_not_affect_the_others(self):
        signer = Signer()
        damaged = [{"crv": "P-256"}, {"crv": "P-256", "kid": "x", "kty": "EC", "x": "?", "y": 7}, {}]
        assert CommandVerifier(AGENT, [*damaged, signer.jwk]).keys == (signer.kid,)
        assert CommandVerifier(AGENT, damaged).keys == ()


class TestKeys:
    @pytest.mark.parametrize("name", ["device.pem", "device.key", "api.key"])
    @pytest.mark.parametrize("content", [None, b"", b"noise", b"\xff"])
    def test_damaged_new_keys_are_replaced_by_the_old_ones(self, tmp_path, name, content):
        authority = Authority()
        keyring = register(tmp_path, authority)
        old = keyring.current
        keyring.use(authority.renew(keyring))
        path = keyring.current.folder / name
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        if content == b"noise" and name != "device.pem":
            return  # a key may be any text: only its use shows whether it is valid
        keyring.repair()
        assert keyring.current == old
        assert len(quarantined(tmp_path)) == 1

    def test_intact_keys_and_the_only_keys_stay(self, tmp_path):
        authority = Authority()
        keyring = register(tmp_path, authority)
        keyring.use(authority.renew(keyring))
        new = keyring.current
        keyring.repair()
        assert keyring.current == new
        alone = register(tmp_path / "other", authority)
        alone.current.device_certificate.write_bytes(b"noise")
        with pytest.raises(HostError, match=r"device\.pem is damaged") as refused:
            alone.repair()
        assert "restore that file from a backup" in refused.value.advice
        assert quarantined(tmp_path / "other") == []


class TestQuarantine:
    def test_it_is_bounded_and_the_oldest_are_deleted(self, tmp_path):
        quarantine = Quarantine(tmp_path)
        for number in range(MAX_FILES + 5):
            quarantine.write(f"{number}.json", b"x", "why")
        assert len(quarantined(tmp_path)) == MAX_FILES
        assert "0.json" not in quarantined(tmp_path)
        [problem] = quarantine.problems()
        assert f"could not use {MAX_FILES} files" in problem.message

    def test_a_failure_to_quarantine_is_reported(self, tmp_path):
        (tmp_path / "state").write_bytes(b"in the way")
        (tmp_path / "a.db").write_bytes(b"a")
        assert not Quarantine(tmp_path / "state").move(tmp_path / "a.db", "why")
        assert Quarantine(tmp_path / "state").problems() == ()

    def test_a_file_in_the_place_of_its_folder_is_renamed(self, tmp_path):
        (tmp_path / "damaged").write_bytes(b"in the way")
        (tmp_path / "a.db").write_bytes(b"a")
        assert Quarantine(tmp_path).move(tmp_path / "a.db", "why")
        assert quarantined(tmp_path) == ["a.db"]
        [renamed] = tmp_path.glob("damaged-*")
        assert renamed.read_bytes() == b"in the way"

    def test_a_database_is_moved_with_its_companion_files(self, tmp_path):
        for name in ("a.db", "a.db-wal", "a.db-shm"):
            (tmp_path / name).write_bytes(b"a")
        Quarantine(tmp_path).move(tmp_path / "a.db", "why")
        assert {path.name for path in tmp_path.iterdir()} == {"damaged"}
        assert len(list((tmp_path / "damaged").iterdir())) == 3
