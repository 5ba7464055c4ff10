"""Whatever is wrong in the state directory, at a start or in a hop, the agent works or says what to do.

Every file of a real agent's directory, as a kill leaves it, is damaged in every way. The agent either comes
up, with what it cannot use set aside, or ends with the file's name and advice, and the doctor names it, too.
While a hop runs, the same happens to the files that are in use: no start is repeated for ever, and every byte
arrives.
"""

import asyncio
import errno
import os
import shutil
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent import doctor, host_info, interpreter, logs, run, state_disk
from agent.cli.commands.host import with_plain_errors
from agent.cli.errors import CliError, Exit
from agent.cloud import mqtt_link
from agent.errors import HostError, PassingHostError
from agent.files import disk
from agent.files.listing import FileEntry
from agent.files.roots import Roots
from agent.hops.journal import Journal
from agent.hops.record import HopRecord
from agent.identity.registration import Files, read_registration
from agent.lane.peer_paths import PeerPath, PeerPathCache
from agent.pull.ledger import Ledger, ledger_path
from agent.pull.manifest_outbox import ManifestOutbox
from events.base import Problem
from events.commands import Move, Peer, Serve
from events.reports import Failed, Hello, Refused, ReportEnvelope, Started, Succeeded
from tests.support.fakes_agent import TRANSFER, FakeLink, Signer, a_registration, move
from tests.support.fakes_keys import Authority, register
from tests.support.waiting import HANG_TIMEOUT_S

HOP = f"{TRANSFER}-0"
SIGNER = Signer()


class StoppingLink(FakeLink):
    """A link that connects at once, and stops the agent when its Hello has arrived."""

    hellos: list[Hello]

    def __init__(self, *_: object) -> None:
        super().__init__()

    async def __aenter__(self) -> "StoppingLink":
        self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        await super().publish(topic, payload, qos)
        if topic.endswith("/reports"):
            report = ReportEnvelope.model_validate_json(payload).report
            if isinstance(report, Hello):
                self.hellos.append(report)
                signal.raise_signal(signal.SIGTERM)


def serve(peer: Peer) -> Serve:
    until = datetime.now(UTC) + timedelta(hours=1)
    return Serve(transfer_id=TRANSFER, hop_id=HOP, attempt=1, path="/data/", peer=peer, until=until)


def make_state(folder: Path) -> None:
    """Fill a state directory as an agent does that is killed while it works."""
    authority = Authority()
    keyring = register(folder, authority)
    keyring.use(authority.renew(keyring))
    keyring.forget_old()
    files = Files(folder)
    shutil.copy(files.device_certificate, files.ca)
    files.registration_file.write_text(a_registration(SIGNER).model_dump_json())
    files.lock.write_text("1\n")
    files.status.write_text('{"pid": 1, "connected": true, "since": "2026-01-01T00:00:00Z"}')
    PeerPathCache(folder / "routes.json").remember("server-c", PeerPath(dialed=True, address="10.0.0.2:1"))
    for name in ("update-request", "update-verdict", "update-sick"):
        (folder / name).write_text("{}")
    (folder / "reserve").write_bytes(b"\0")
    for hop_id in (f"{TRANSFER}-1", HOP):
        ledger = Ledger(ledger_path(folder, hop_id))
        ledger.begin("/data/b/")
        ledger.partial_directories.add("/data/b")
        ledger.complete_all([(FileEntry("f", "a"), bytes(16))])
        if hop_id == HOP:
            ledger.close()
        else:
            ManifestOutbox(folder / "manifests").keep(ledger, hop_id)
            ledger.partial_directories.forget()
    [manifest] = (folder / "manifests").iterdir()
    manifest.rename(manifest.with_name(f"{TRANSFER}-1.1.db"))
    shutil.copy(folder / f"manifests/{TRANSFER}-1.1.db", folder / f"manifests/{TRANSFER}-2.2.succeeded.db")
    shutil.copy(folder / f"manifests/{TRANSFER}-1.1.db", folder / f"manifests/{TRANSFER}-3.3.part")
    keyring.current.folder.rename(folder / GENERATION)
    (folder / "keys").unlink()
    (folder / "keys").symlink_to(GENERATION)
    journal = Journal(files.journal, read_registration(files).mark)
    journal.admit("jti-1", 2_000_000_000)
    journal.save_hop(HopRecord(move(), desired_state="pause", paused=True))
    peer = Peer(agent_id="server-c", certificate="PEM")
    journal.grant(serve(peer), "token")
    shutil.copytree(folder, folder.with_name(f"{folder.name}-killed"), symlinks=True)  # with the journal open
    journal.close()


GENERATION = "keys-20260101T000000000000Z"
ENTRIES = (
    "agent.lock",
    "ca.pem",
    "hops",
    f"hops/{HOP}.db",
    f"hops/{HOP}.places",
    "journal.db",
    "journal.db-shm",
    "journal.db-wal",
    "keys",
    GENERATION,
    f"{GENERATION}/api.key",
    f"{GENERATION}/device.key",
    f"{GENERATION}/device.pem",
    f"{GENERATION}/lane.key",
    f"{GENERATION}/lane.pem",
    "lane.key",
    "lane.pem",
    "manifests",
    f"manifests/{TRANSFER}-1.1.db",
    f"manifests/{TRANSFER}-2.2.succeeded.db",
    f"manifests/{TRANSFER}-3.3.part",
    "registration.json",
    "reserve",
    "routes.json",
    "status.json",
    "update-request",
    "update-sick",
    "update-verdict",
)
NEEDED = {
    "registration.json",
    "ca.pem",
    f"{GENERATION}/api.key",
    f"{GENERATION}/device.key",
    f"{GENERATION}/device.pem",
}
"""Without these a host cannot be an agent: only a person can put them back."""


@pytest.fixture(scope="module")
def states(tmp_path_factory) -> tuple[Path, Path]:
    """Return the state directories of two agents, each as a kill left it."""
    folders = []
    for name in ("one", "two"):
        folder = tmp_path_factory.mktemp("states") / name
        make_state(folder)
        folders.append(folder.with_name(f"{name}-killed"))
    return folders[0], folders[1]


class StateHost:
    def __init__(self, folder: Path, states: tuple[Path, Path]) -> None:
        self.state, self.other = folder / "state", states[1]
        shutil.copytree(states[0], self.state, symlinks=True)
        (folder / "data").mkdir()
        self.config = folder / "agent.toml"
        self.config.write_text(
            f'state = "{self.state}"\n[lane]\nlisten = "127.0.0.1:0"\n'
            f'[[roots]]\npath = "/data"\naccess = "rw"\ndirectory = "{folder}/data"\n'
        )
        self.hellos: list[Hello] = []
        self.crashes: list[Exception] = []
        """What has ended the agent so that systemd starts it again."""

    def start(self) -> HostError | None:
        """Start the agent, and stop it once it has said Hello; return why it does not start, if so."""
        StoppingLink.hellos = self.hellos
        self.hellos.clear()
        try:
            run.run(self.config, space_poll_interval_s=0.001)
        except HostError as error:
            return error
        assert len(self.hellos) == 1
        return None

    @property
    def set_aside(self) -> set[str]:
        return {path.name.partition("-")[2] for path in self.state.glob("damaged/*")}


@pytest.fixture
def host(tmp_path, states, monkeypatch) -> StateHost:
    monkeypatch.setattr(mqtt_link, "MqttLink", StoppingLink)
    monkeypatch.setattr(run, "_exit_after", lambda *_: None)
    monkeypatch.setattr(run, "_leave_no_core", lambda: None)
    monkeypatch.setattr(interpreter, "tune", lambda: None)
    monkeypatch.setattr(logs, "set_up", lambda _: logs.LogMemory())
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(host_info, "rclone_version", lambda: "1.75.2")
    return StateHost(tmp_path, states)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def cut(path: Path, *_: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def take_from(path: Path, other: Path) -> None:
    remove(path)
    if other.is_dir():
        shutil.copytree(other, path)
    else:
        shutil.copy(other, path)


DAMAGES = {
    "truncated": cut,
    "emptied": lambda path, _: path.write_bytes(b""),
    "filled with noise": lambda path, _: path.write_bytes(bytes(range(256)) * 40),
    "gone": lambda path, _: remove(path),
    "a directory": lambda path, _: (remove(path), path.mkdir()),
    "a file": lambda path, _: (remove(path), path.write_bytes(b"a file")),
    "a pipe": lambda path, _: (remove(path), os.mkfifo(path)),
    "a dangling link": lambda path, _: (remove(path), path.symlink_to("nowhere")),
    "another agent's": take_from,
}
OF_DIRECTORIES = {"gone", "a file", "a pipe", "a dangling link", "another agent's"}


def cases() -> list[tuple[str, str]]:
    folders = {"hops", "manifests", "keys", GENERATION}
    return [
        (entry, damage)
        for entry in ENTRIES
        for damage in DAMAGES
        if (damage in OF_DIRECTORIES if entry in folders else damage != "a file")
    ]


def test_these_are_all_entries_of_a_state_directory(states):
    found = {str(path.relative_to(states[0])) for path in states[0].rglob("*")}
    assert found - {f"{GENERATION}/api.key"} == set(ENTRIES) - {f"{GENERATION}/api.key"}


def test_an_intact_directory_is_used_as_it_is(host):
    assert host.start() is None
    assert [hop.hop_id for hop in host.hellos[0].hops] == [HOP]
    assert host.hellos[0].problems == ()
    assert host.set_aside == set()


@pytest.mark.parametrize(("entry", "damage"), cases())
def test_the_agent_starts_or_says_what_to_do(host, entry, damage):
    path = host.state / entry
    DAMAGES[damage](path, host.other / entry)
    error = host.start()
    if error is None:
        assert host.start() is None
        return
    assert any(part in error.message for part in (str(path), str(path.resolve()), f"keys/{path.name}")), (
        error.message
    )
    assert error.advice
    assert str(host.start()) == str(error)
    if entry in NEEDED or entry in {"keys", GENERATION}:
        failing = {check.name: check for check in doctor.examine(host.config) if not check.ok}
        assert any(check.found == error.message and check.advice for check in failing.values()), failing
    else:
        raise AssertionError(error.message)


@pytest.mark.parametrize(
    ("entry", "damage", "name"),
    [
        ("journal.db", "filled with noise", "journal.db"),
        ("journal.db", "another agent's", "journal.db"),
        ("journal.db", "a pipe", "journal.db"),
        (f"{GENERATION}/lane.pem", "truncated", "lane.pem"),
        (f"{GENERATION}/lane.key", "another agent's", "lane.key"),
        ("hops", "a pipe", "hops"),
        ("keys", "a directory", "keys"),
        ("routes.json", "filled with noise", "routes.json"),
        ("agent.lock", "a directory", "agent.lock"),
    ],
)
def test_what_cannot_be_used_is_set_aside_and_reported(host, entry, damage, name):
    for companion in host.state.glob("journal.db-*"):  # from which the journal could be restored
        companion.unlink()
    stopped = host.other.with_name("two")
    DAMAGES[damage](host.state / entry, stopped / entry)
    assert host.start() is None
    assert name in host.set_aside
    assert "state-damaged" in [problem.code for problem in host.hellos[0].problems]
    assert any(name in check.found for check in doctor.examine(host.config) if check.name == "damaged state")


def test_a_new_lane_certificate_replaces_one_that_cannot_be_used(host):
    before = (host.state / GENERATION / "lane.pem").read_text()
    (host.state / GENERATION / "lane.key").write_bytes(b"noise")
    assert host.start() is None
    announced = host.hellos[0].lane_certificate
    assert announced != before
    assert announced == (host.state / GENERATION / "lane.pem").read_text()


def test_systemd_does_not_repeat_a_start_that_only_a_person_can_mend():
    unit = Path(run.__file__).with_name("crosshaul-agent.service").read_text()
    assert f"RestartPreventExitStatus={Exit.REFUSED.value}\n" in unit


def failing(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_a_start_waits_for_space_on_a_full_disk_instead_of_ending(host, monkeypatch, tmp_path):
    answers = [failing(errno.ENOSPC), failing(errno.EDQUOT), None]
    monkeypatch.setattr(state_disk, "write_error", lambda _: answers.pop(0) if answers else None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert host.start() is None
        assert systemd.recv(100) == b"READY=1"  # while it waited: or systemd would repeat the start
    assert answers == []


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EROFS, "read-only file system"), (errno.EACCES, "may not be written to")]
)
def test_a_state_directory_that_cannot_be_written_ends_the_start_with_advice(
    host, monkeypatch, number, words
):
    def refuse(*_: object) -> None:
        raise failing(number)

    monkeypatch.setattr(state_disk, "write_error", lambda _: failing(number))
    monkeypatch.setattr("agent.run.Journal", refuse)
    error = host.start()
    assert words in error.message
    assert str(host.state) in error.message
    assert error.advice
    [check] = [check for check in doctor.examine(host.config) if check.name == "state directory"]
    assert (check.ok, check.found) == (False, error.message)


def exit_code(host: StateHost) -> Exit:
    """Return the exit code of `crosshaul agent run`."""
    with pytest.raises(CliError) as ended:
        with_plain_errors(run.run)(host.config)
    return ended.value.code


def fail_first(monkeypatch, *errors: Exception) -> list[Exception]:
    """Let opening the journal fail with these errors, one at a time, then succeed."""
    left = list(errors)

    def open_journal(*args: object) -> Journal:
        if left:
            raise left.pop(0)
        return Journal(*args)

    monkeypatch.setattr("agent.run.Journal", open_journal)
    return left


def of_sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as SQLite says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("error", [failing(errno.ENOSPC), of_sqlite(sqlite3.SQLITE_FULL)])
def test_a_disk_that_fills_up_while_the_journal_is_opened_is_waited_for(host, monkeypatch, error):
    left = fail_first(monkeypatch, error, error)
    assert host.start() is None
    assert left == []


@pytest.mark.parametrize(
    "error",
    [
        failing(errno.EIO),
        failing(errno.EMFILE),
        of_sqlite(sqlite3.SQLITE_BUSY),
        of_sqlite(sqlite3.SQLITE_IOERR),
        of_sqlite(sqlite3.SQLITE_CANTOPEN),
    ],
    ids=str,
)
def test_a_fault_that_may_pass_ends_the_start_so_that_systemd_repeats_it(host, monkeypatch, error):
    fail_first(monkeypatch, error, error)
    assert exit_code(host) == Exit.FAILED  # the other one, systemd takes as final
    found = host.start()
    assert isinstance(found, PassingHostError)
    assert found.__cause__ is error
    assert str(host.state) in found.message
    assert "dmesg" in found.advice
    assert host.start() is None


@pytest.mark.parametrize(
    ("number", "is_passing", "advice"),
    [
        (errno.EIO, True, "dmesg"),
        (errno.ESTALE, True, "dmesg"),
        (errno.EMFILE, True, "dmesg"),
        (errno.EACCES, False, "the agent's user"),
        (errno.ELOOP, False, "register again"),
    ],
)
def test_a_registration_that_cannot_be_read_ends_the_start_as_its_fault_asks(
    host, monkeypatch, number, is_passing, advice
):
    """A disk that answers with an error for a moment does not end the agent for good."""
    record, really = host.state / "registration.json", Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path == record:
            raise failing(number)
        return really(path)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", refuse)
        error = host.start()
        assert isinstance(error, PassingHostError) == is_passing
        assert str(record) in error.message
        assert advice in error.advice
        assert exit_code(host) == (Exit.FAILED if is_passing else Exit.REFUSED)
        [check] = [check for check in doctor.examine(host.config) if check.name == "registration"]
        assert (check.ok, check.found) == (False, error.message)
    assert host.start() is None


def test_another_user_s_journal_ends_the_start_with_its_name(host, monkeypatch):
    def refuse(path: object, *args: object, really=os.open, **options: object) -> int:
        if Path(str(path)) == host.state / "journal.db":
            raise OSError(errno.EACCES, "Permission denied", str(path))
        return really(path, *args, **options)

    fail_first(monkeypatch, of_sqlite(sqlite3.SQLITE_CANTOPEN))
    monkeypatch.setattr(os, "open", refuse)
    error = host.start()
    assert "journal.db may not be written to" in error.message
    assert error.advice


def test_the_agent_comes_up_while_an_earlier_hop_s_mount_hangs(host, monkeypatch):
    said_hello = threading.Event()
    really, waited = signal.raise_signal, []

    def stop(number: int) -> None:
        said_hello.set()
        really(number)

    monkeypatch.setattr(signal, "raise_signal", stop)
    monkeypatch.setattr(run, "discard_abandoned", lambda *_: waited.append(said_hello.wait(HANG_TIMEOUT_S)))
    assert host.start() is None
    assert waited == [True]


async def test_a_hop_that_arrives_while_abandoned_ones_are_discarded_is_left_alone(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal.db", "reg")
    loop, found = asyncio.get_running_loop(), []

    def search(_roots: object, _state: Path, open_hops) -> None:
        found.append(HOP in open_hops)
        arrived = threading.Event()
        loop.call_soon_threadsafe(lambda: (journal.save_hop(HopRecord(move())), arrived.set()))
        assert arrived.wait(HANG_TIMEOUT_S)
        found.append(HOP in open_hops)

    monkeypatch.setattr(run, "discard_abandoned", search)
    await run._discard_abandoned(Roots((), tmp_path), tmp_path, journal)
    assert found == [False, True]
    journal.close()


def unsent_report(journal: Journal) -> int:
    journal.enqueue(Refused(at=datetime.now(UTC), problem=Problem(code="x", message="x")))
    unsent = journal.oldest_unsent()
    assert unsent is not None
    return unsent.number


FIRST_WRITES: dict[str, Callable[[Journal], object]] = {
    "a command comes": lambda journal: journal.admit("jti", 2**31),
    "a hop is kept": lambda journal: journal.save_hop(HopRecord(move())),
    "a peer may read": lambda journal: journal.grant(
        serve(Peer(agent_id="server-c", certificate="PEM")), "token"
    ),
    "a peer may no longer read": lambda journal: journal.withdraw(HOP),
    "a report waits": unsent_report,
    "a report was sent": lambda journal: journal.sent(1),
}


@pytest.mark.parametrize("first", FIRST_WRITES)
def test_the_reserve_gives_the_journal_room_when_the_disk_is_full(tmp_path, monkeypatch, first):
    """Whatever is written first: what fails for want of room ends the agent."""
    journal = Journal(tmp_path / "journal.db", "reg")
    assert unsent_report(journal) == 1
    journal.reserve.fill()
    reserve = tmp_path / "reserve"
    assert reserve.stat().st_blocks * 512 >= state_disk.RESERVE_BYTES
    monkeypatch.setattr(disk, "free_bytes", lambda _: 4096)
    FIRST_WRITES[first](journal)
    assert not reserve.exists()
    journal.reserve.fill()
    assert not reserve.exists()  # not while there is little space
    monkeypatch.undo()
    journal.reserve.fill()
    assert reserve.exists()
    journal.close()


RUNNING = move(hop=2)
"""A hop that is ordered while the agent runs."""
RESTARTS = 2
"""How often systemd may have to start the agent again: once, and once more for a second file."""


class BrokerDuringHop(StoppingLink):
    """Orders a hop after each Hello, damages the state when the hop has begun, and stops at its result."""

    order: Move
    damage: Callable[[], None]
    results: list[Succeeded | Failed]

    async def publish(self, topic: str, payload: bytes, qos: int = 1) -> None:
        await FakeLink.publish(self, topic, payload, qos)
        if not topic.endswith("/reports"):
            return
        match ReportEnvelope.model_validate_json(payload).report:
            case Hello():
                self.deliver(SIGNER.envelope(self.order, jti=f"attempt-{self.order.attempt}"))
            case Started(hop_id=RUNNING.hop_id):
                type(self).damage()
            case Succeeded() | Failed() as result if result.hop_id == RUNNING.hop_id:
                self.results.append(result)
                signal.raise_signal(signal.SIGTERM)


def damaged_once(act: Callable[[], None]) -> Callable[[], None]:
    """Return a function that acts at its first call."""
    left = [act]
    return staticmethod(lambda: left.pop()() if left else None)  # type: ignore[return-value]


def run_hop(host: StateHost, monkeypatch: pytest.MonkeyPatch, damage: Callable[[], None]) -> HostError | None:
    """Run a hop while its agent's state is damaged, started again as systemd does.

    Return why the agent does not start again, if only a person can mend that.
    """
    monkeypatch.setattr(mqtt_link, "MqttLink", BrokerDuringHop)
    monkeypatch.setattr(BrokerDuringHop, "damage", damaged_once(damage), raising=False)
    monkeypatch.setattr(BrokerDuringHop, "results", results := [], raising=False)
    for attempt in range(1, RESTARTS + 2):
        order = RUNNING.model_copy(update={"attempt": attempt})
        monkeypatch.setattr(BrokerDuringHop, "order", order, raising=False)
        try:
            run.run(host.config)
        except (PassingHostError, OSError, sqlite3.Error) as error:
            host.crashes.append(error)
            continue  # exit code 1: systemd starts the agent again
        except HostError as error:
            return error
        if results and isinstance(results[-1], Succeeded):
            return None
    raise AssertionError(f"the hop has not succeeded: {results} {host.crashes}")


def make_source(host: StateHost) -> Path:
    """Fill the directory that the hop copies, and return it."""
    source = host.config.parent / "data/a"
    source.mkdir()
    for number in range(60):
        (source / f"{number}").write_bytes(os.urandom(number * 10))
    return source


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def of_running_hop(entry: str) -> str:
    return entry.replace(HOP, RUNNING.hop_id)


MAPPED = {
    ("journal.db-shm", damage) for damage in ("truncated", "emptied", "filled with noise", "another agent's")
}
"""SQLite has this file mapped, and the kernel ends a process whose mapped file becomes shorter. That needs a
process of its own: `test_service_process.py`."""


@pytest.mark.parametrize(("entry", "damage"), [case for case in cases() if case not in MAPPED])
def test_a_hop_completes_though_the_state_is_damaged_while_it_runs(host, monkeypatch, entry, damage):
    source = make_source(host)
    path = host.state / of_running_hop(entry)

    def act() -> None:
        if path.exists() or path.is_symlink():
            DAMAGES[damage](path, host.other / entry)

    error = run_hop(host, monkeypatch, act)
    if error is not None:
        assert any(part in error.message for part in (str(path), str(path.resolve()), f"keys/{path.name}")), (
            error.message
        )
        assert error.advice
        assert entry in NEEDED or entry in {"keys", GENERATION}
        return
    assert contents(source.parent / "b") == contents(source)


def overwrite(path: Path) -> None:
    """Fill a file with noise as a broken disk does: its length stays."""
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


def test_a_journal_that_is_damaged_in_use_is_named_and_replaced_at_the_next_start(host, monkeypatch):
    source = make_source(host)
    journal = host.state / "journal.db"

    def damage() -> None:
        for suffix in ("", "-wal", "-shm"):
            overwrite(journal.with_name(f"journal.db{suffix}"))

    assert run_hop(host, monkeypatch, damage) is None
    [crash] = host.crashes
    assert str(journal) in str(crash)
    assert "sets it aside" in crash.advice
    assert "journal.db" in host.set_aside
    assert contents(source.parent / "b") == contents(source)
