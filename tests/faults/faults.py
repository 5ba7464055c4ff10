"""How each fault of the campaign happens, and ends."""

import json
import os
import random
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from events.certificates import fingerprint
from infra.local.servers import Server
from tests.faults import updates
from tests.faults.faulty_agent import LATE_SUFFIX
from tests.faults.schedule import ROOTS, Event, Fault
from tests.faults.team import (
    SMALL_DISK,
    TRUE_TIME,
    Team,
    clock_of,
    enroll,
    has_compiler,
    messages_of,
    mount,
    state_disk_of,
)
from tests.support.network_proxy import NetworkProxy

PROTECTED = ("registration.json", "keys", ".key", ".pem", "lock")
"""State that a host cannot lose without a new registration: not damaged here."""
LOOK_FOR_RCLONE_S = 2
START_S = 2
"""Seconds in which an agent has started and sent its Hello, unless the machine is busy."""
RELAY_AFTER_S = 6
"""Seconds without a connection after which agents turn to the relay, and a little more."""
SKEWS_S = (-30 * 86400, -3600, -400, 400, 3600, 40 * 86400)


class ImpossibleHereError(Exception):
    """This machine does not allow the fault; the message says why."""


def happen(team: Team, event: Event) -> str:
    """Let one fault happen and end. Return what was done.

    Raises ImpossibleHereError.
    """
    time.sleep(event.after_s)  # the schedule's own time; nothing is waited for
    detail = _FAULTS[event.fault](team, event)
    return f"{event.fault} of {event.server} for {event.lasts_s} s {detail}"


Happen = Callable[[Team, Event], str]


def _lasting(
    enter: Callable[[Team, Event], AbstractContextManager[str]],
) -> Happen:
    def happen(team: Team, event: Event) -> str:
        with enter(team, event) as detail:
            time.sleep(event.lasts_s)
        return detail

    return happen


def _kill(team: Team, event: Event) -> str:
    agent = team.fleet.agent(team.name(event.server))
    agent.kill()
    team.fleet.here.start_agent(agent.server)
    return ""


def _restart(team: Team, event: Event) -> str:
    agent = team.fleet.agent(team.name(event.server))
    agent.stop()
    team.fleet.here.start_agent(agent.server)
    return ""


def _damage_state(team: Team, event: Event) -> str:
    return _damage_files(team, event, "*")


def _damage_database(team: Team, event: Event) -> str:
    return _damage_files(team, event, "*.db*")


def _damage_files(team: Team, event: Event, pattern: str) -> str:
    """Truncate, empty or overwrite one file of a killed agent's state."""
    agent, dice = team.fleet.agent(team.name(event.server)), random.Random(event.noise)
    agent.kill()
    done = _damage(agent.server.state, pattern, dice)
    team.fleet.here.start_agent(agent.server)
    return done


def _damage(state: Path, pattern: str, dice: random.Random) -> str:
    files = sorted(
        path
        for path in state.rglob(pattern)
        if path.is_file() and not any(part in str(path.relative_to(state)) for part in PROTECTED)
    )
    if not files:
        return "(there was nothing to damage)"
    path = dice.choice(files)
    size = path.stat().st_size
    how = dice.choice(("truncate", "empty", "noise"))
    with path.open("r+b") as file:
        match how:
            case "truncate":
                file.truncate(size // 2)
            case "empty":
                file.truncate(0)
            case "noise":
                file.seek(dice.randrange(max(size, 1)))
                file.write(dice.randbytes(4096))
    return f"({how} of {path.relative_to(state)})"


def _kill_rclone(team: Team, event: Event) -> str:
    """Kill the rclone processes of the first agent that has any within the time."""
    end = time.monotonic() + LOOK_FOR_RCLONE_S + event.lasts_s
    while time.monotonic() < end:
        for name in team.fleet.servers:
            if killed := _kill_children(team.fleet.agent(name).process.pid, "rclone"):
                return f"({killed} of {name})"
        time.sleep(0.1)
    return "(there was none)"


def _kill_children(parent: int, name: str) -> int:
    """Kill the processes of this name whose session is that of `parent`, and return how many."""
    killed = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError, ValueError, ProcessLookupError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == parent and (folder / "comm").read_text().strip() == name:
                os.kill(int(folder.name), signal.SIGKILL)
                killed += 1
    return killed


@_lasting
@contextmanager
def _freeze(team: Team, event: Event) -> Iterator[str]:
    with team.fleet.frozen(team.name(event.server)):
        yield ""


@_lasting
@contextmanager
def _cut_line(team: Team, event: Event) -> Iterator[str]:
    with _down(team.line(event.server)):
        yield ""


@_lasting
@contextmanager
def _stall_line(team: Team, event: Event) -> Iterator[str]:
    with team.line(event.server).held_after(random.Random(event.noise).randrange(2**20)):
        yield ""


def _cut_all_lines(team: Team, event: Event) -> str:
    """Cut every server off from the others for long enough that those who may use the relay."""
    with ExitStack() as cut:
        for line in team.lines.values():
            cut.enter_context(_down(line))
        time.sleep(RELAY_AFTER_S + event.lasts_s)
    return ""


@contextmanager
def _down(line: NetworkProxy) -> Iterator[None]:
    line.down()
    try:
        yield
    finally:
        line.up()


@_lasting
@contextmanager
def _freeze_cloud(team: Team, _: Event) -> Iterator[str]:
    pid = team.fleet.here.cloud.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield ""
    finally:
        os.kill(pid, signal.SIGCONT)


@_lasting
@contextmanager
def _full_disk(team: Team, _: Event) -> Iterator[str]:
    """Fill the disk of `c`."""
    with _filled(_small(team.server("c").path(ROOTS["c"]))):
        yield ""


@_lasting
@contextmanager
def _full_state_disk(team: Team, event: Event) -> Iterator[str]:
    """Fill the disk with the state of `d`; in half of the cases kill and start its agent meanwhile."""
    with _filled(_small(state_disk_of(team.server("d")))):
        if killed := random.Random(event.noise).random() < 0.5:
            _kill(team, replace(event, server="d"))
        yield "(and a kill)" if killed else ""


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    ballast = folder / "ballast"
    for size in (1024 * 1024, 4096):  # the last write of a size fits in part or not at all
        with suppress(OSError), ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(size))
    try:
        yield
    finally:
        ballast.unlink()


@_lasting
@contextmanager
def _no_inodes(team: Team, _: Event) -> Iterator[str]:
    """Let the disk of `c` hold no further file."""
    folder = _small(team.server("c").path(ROOTS["c"]))
    found = os.statvfs(folder)
    mount(folder, f"remount,nr_inodes={found.f_files - found.f_ffree}")
    try:
        yield ""
    finally:
        mount(folder, f"remount,{SMALL_DISK},nr_inodes={found.f_files}").check_returncode()


def _small(folder: Path) -> Path:
    """Return a folder on which a small disk is mounted."""
    if not os.path.ismount(folder):
        raise ImpossibleHereError("mounting is not allowed")
    return folder


@_lasting
@contextmanager
def _skew_clock(team: Team, event: Event) -> Iterator[str]:
    if not has_compiler():
        raise ImpossibleHereError("there is no C compiler")
    clock, shift_s = clock_of(team.server(event.server)), random.Random(event.noise).choice(SKEWS_S)
    _set_clock(clock, struct.pack("q", shift_s))
    try:
        yield f"(by {shift_s} s)"
    finally:
        _set_clock(clock, TRUE_TIME)


def _set_clock(clock: Path, shift: bytes) -> None:
    with clock.open("r+b") as file:  # the agent has it mapped
        file.write(shift)


def _disturb_messages(team: Team, event: Event) -> str:
    """Disturb an agent's messages, at times while it starts, and deliver late what is left."""
    server, dice = team.server(event.server), random.Random(event.noise)
    seed = messages_of(server) / "seed"
    seed.write_text(str(event.noise))
    try:
        restarted = dice.random() < 0.5
        if restarted:
            _kill(team, event)
        time.sleep(event.lasts_s + restarted * START_S)
    finally:
        seed.unlink()
        deliver_late(team, dice)
    return "(while it starts)" if restarted else ""


def deliver_late(team: Team, dice: random.Random) -> None:
    """Deliver the reports that were held back, in any order."""
    late = [(server, path) for server in team.fleet.servers.values() for path in _late(server)]
    dice.shuffle(late)
    for server, path in late:
        received = {"thing": f"{_stage_thing(server)}", "received": int(path.stat().st_mtime * 1000)}
        certificate = fingerprint((team.fleet.keys(server.name) / "device.pem").read_text())
        event = {**json.loads(path.read_bytes()), **received, "principal": certificate}
        team.functions.invoke("OnReport", event)
        path.unlink()


def _late(server: Server) -> list[Path]:
    return sorted(messages_of(server).glob(f"*{LATE_SUFFIX}"))


def _stage_thing(server: Server) -> str:
    return str(json.loads((server.state / "registration.json").read_text())["thing"])


def _throttle(team: Team, event: Event) -> str:
    """Let Lambda refuse every call of one function."""
    dice = random.Random(event.noise)
    part = dice.choice(("FunctionsApi", "OnChange", "OnReport"))
    name = team.functions.named(part)
    try:
        team.functions.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        time.sleep(event.lasts_s)
    finally:
        team.functions.client.delete_function_concurrency(FunctionName=name)
    return f"({part})"


def _revoke(team: Team, event: Event) -> str:
    """Take an agent's certificate away, and enroll it again."""
    fleet, name = team.fleet, team.name(event.server)
    fleet.api.delete(f"/agents/{name}")
    time.sleep(event.lasts_s)
    fleet.agent(name).stop()
    enroll(fleet, team.server(event.server))
    fleet.connect(name)  # its Hello may be lost: a function may be throttled for another team at this moment
    return ""


def _kill_in_rotation(team: Team, event: Event) -> str:
    """Kill an agent at some moment while it replaces its keys."""
    team.fleet.api.post(f"/agents/{team.name(event.server)}/rotate")
    time.sleep(event.lasts_s)
    return _kill(team, event)


def _update(team: Team, event: Event) -> str:
    """Update an agent to its other version, and end processes in the middle."""
    return updates.update(team.fleet, team.server(event.server), random.Random(event.noise))


_FAULTS: dict[Fault, Happen] = {
    "kill": _kill,
    "restart": _restart,
    "freeze": _freeze,
    "kill rclone": _kill_rclone,
    "cut line": _cut_line,
    "stall line": _stall_line,
    "cut all lines": _cut_all_lines,
    "freeze cloud": _freeze_cloud,
    "damage state": _damage_state,
    "damage database": _damage_database,
    "full disk": _full_disk,
    "no inodes": _no_inodes,
    "skew clock": _skew_clock,
    "disturb messages": _disturb_messages,
    "throttle": _throttle,
    "revoke": _revoke,
    "kill in rotation": _kill_in_rotation,
    "update": _update,
    "full state disk": _full_state_disk,
}
