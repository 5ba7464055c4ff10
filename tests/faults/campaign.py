"""Run transfers of every kind under faults, and check that nothing is lost, doubled or left half-done."""

import contextlib
import gzip
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.cloud import http
from agent.files.paths import PARTIAL_PREFIX
from events.manifest import NOT_ARRIVED, ManifestLine
from infra.local.environment import Environment, until
from infra.local.servers import Server
from tests.e2e.api import Api, Refusal
from tests.e2e.conftest import ENDED, Fleet
from tests.faults.schedule import AGENTS, ROOTS, Event, Request, Schedule
from tests.faults.trees import SPECIAL, make_tree, snapshot
from tests.support.network_proxy import NetworkProxy

PROTECTED = ("registration.json", "keys", ".key", ".pem", "lock")
"""State that a host cannot lose without a new registration: not damaged here."""
END_TIMEOUT_S = 240
RETRIES = 3
"""How often a transfer that failed is retried, as an operator would."""


class BrokenPromiseError(AssertionError):
    """Something is lost, wrong, doubled or left half-done."""


@dataclass
class Running:
    """A transfer under way, and what its source was."""

    request: Request
    source: Path
    destinations: list[Path]
    before: dict[bytes, str]
    transfer_id: str
    retries: int = 0


@dataclass
class Campaign:
    """The servers of one environment, with a network between them that can be cut."""

    fleet: Fleet
    lines: dict[str, NetworkProxy]
    reports: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def running(cls, here: Environment) -> Iterator["Campaign"]:
        """Enroll and start the servers, each behind a proxy, and end the proxies afterwards."""
        servers = {name: here.server(name, {root: "rw"}) for name, root in ROOTS.items()}
        lines = {name: _behind_proxy(server) for name, server in servers.items()}
        for server in servers.values():
            here.enroll(server)
        fleet = Fleet(here, servers, Api.signed_in(here, here.user, here.password))
        fleet.ensure()
        try:
            yield cls(fleet, lines)
        finally:
            for line in lines.values():
                line.close()

    def run(self, seed: int) -> None:
        """Run the schedule of one seed.

        Raises:
            BrokenPromiseError: a promise is broken; the message says which, for which transfer.
        """
        schedule = Schedule.of(seed)
        self.reports = []
        transfers = [self._start(seed, number, request) for number, request in enumerate(schedule.requests)]
        for event in schedule.events:
            self._happen(event, transfers)
        self.fleet.ensure()
        for transfer in transfers:
            self._finish(transfer)
            self._check(transfer)
        for name in AGENTS:
            if self.fleet.agent(name).process.poll() is not None:
                raise BrokenPromiseError(f"{name} has ended")
        for transfer in transfers:
            for folder in (transfer.source, *transfer.destinations):
                _delete(folder)

    def _start(self, seed: int, number: int, request: Request) -> Running:
        name = f"{seed}-{number}"
        source = self.fleet.folder(f"{request.source}:{ROOTS[request.source]}/out-{name}")
        make_tree(source, random.Random(request.tree_seed))
        places = [f"{agent}:{ROOTS[agent]}/in-{name}" for agent in request.destinations]
        before = snapshot(source)
        transfer_id = self.fleet.copy(
            f"{request.source}:{ROOTS[request.source]}/out-{name}/",
            *(f"{place}/" for place in places),
            shape=request.shape,
            **request.options,
        )
        return Running(request, source, [self.fleet.folder(place) for place in places], before, transfer_id)

    def _happen(self, event: Event, transfers: list[Running]) -> None:
        """Let one fault happen and end."""
        time.sleep(event.after_s)  # the schedule's own time; nothing is waited for
        self.reports.append(f"{event.fault} {event.agent} for {event.lasts_s} s")
        agent, line = self.fleet.agent(event.agent), self.lines[event.agent]
        match event.fault:
            case "kill" | "restart" | "damage state":
                self._start_again(event)
            case "kill rclone":
                _kill_children(agent.process.pid, "rclone")
            case "freeze":
                with self.fleet.frozen(event.agent):
                    time.sleep(event.lasts_s)
            case "cut line":
                with _down(line):
                    time.sleep(event.lasts_s)
            case "stall line":
                with line.held_after(random.Random(event.noise).randrange(2**20)):
                    time.sleep(event.lasts_s)
            case "freeze cloud":
                with _stopped(self.fleet.here.cloud.pid):
                    time.sleep(event.lasts_s)
            case "pause":
                self._steer(transfers, "pause")
                time.sleep(event.lasts_s)
                self._steer(transfers, "resume")

    def _start_again(self, event: Event) -> None:
        agent = self.fleet.agent(event.agent)
        if event.fault == "restart":
            agent.stop()
        else:
            agent.kill()
        if event.fault == "damage state":
            self.reports.append(_damage(agent.server.state, random.Random(event.noise)))
        self.fleet.here.start_agent(agent.server)

    def _steer(self, transfers: list[Running], action: str) -> None:
        for transfer in transfers:
            with contextlib.suppress(Refusal):  # it has ended already
                self.fleet.api.post(f"/transfers/{transfer.transfer_id}/{action}")

    def _finish(self, transfer: Running) -> None:
        """Wait for the end of a transfer; retry it while something that may pass has failed."""
        while True:
            state = self.fleet.until_state(transfer.transfer_id, *ENDED, timeout_s=END_TIMEOUT_S)
            if state["state"] == "succeeded" or transfer.retries == RETRIES or not self._may_pass(transfer):
                return
            transfer.retries += 1
            self.fleet.api.post(f"/transfers/{transfer.transfer_id}/retry")

    def _may_pass(self, transfer: Running) -> bool:
        """Return whether more has failed than what can never be transferred."""
        special = {path for path, content in transfer.before.items() if content == SPECIAL}
        return any(set(failed) != special for failed in self._failures(transfer).values())

    def _failures(self, transfer: Running) -> dict[str, dict[bytes, str | None]]:
        """Return, by hop, the paths that the manifest calls not arrived, and why."""

        def ask() -> list[dict[str, Any]] | None:
            answer = self.fleet.api.get(f"/transfers/{transfer.transfer_id}/manifest")
            return None if answer["missing"] else list(answer["hops"])

        hops = until("the manifests", ask, timeout_s=END_TIMEOUT_S)
        failures = {}
        for hop in hops:
            with http.client(hop["url"]) as client:
                content = gzip.decompress(client.get(hop["url"]).content)
            lines = map(ManifestLine.model_validate_json, content.splitlines())
            failures[hop["hop_id"]] = {
                line.decoded_path: line.reason for line in lines if line.outcome in NOT_ARRIVED
            }
        return failures

    def _check(self, transfer: Running) -> None:
        failures = self._failures(transfer)
        named = {path for failed in failures.values() for path in failed}
        wrong = [
            f"{path!r} failed without a reason"
            for failed in failures.values()
            for path, why in failed.items()
            if not why
        ]
        moved = bool(transfer.request.options.get("move"))
        left = snapshot(transfer.source)
        for folder in transfer.destinations:
            there = snapshot(folder) if folder.exists() else {}
            wrong += [
                f"{path!r} is left in {folder.name}" for path in there if PARTIAL_PREFIX.encode() in path
            ]
            wrong += [f"{path!r} is extra in {folder.name}" for path in set(there) - set(transfer.before)]
            for path, content in transfer.before.items():
                if there.get(path) == content:
                    continue
                if path not in named:
                    wrong.append(
                        f"{path!r} ({content}) is {there.get(path)} in {folder.name}, and nothing says why"
                    )
                if moved and left.get(path) != content:
                    wrong.append(f"{path!r} is lost: neither at the source nor at the destination")
        if not moved and left != transfer.before:
            wrong.append("the source has changed")
        if wrong:
            state = self.fleet.transfer(transfer.transfer_id)
            raise BrokenPromiseError(
                "\n".join(
                    [f"{transfer.request}: {state['state']} {state['problem']}", *self.reports, *wrong[:20]]
                )
            )


def _behind_proxy(server: Server) -> NetworkProxy:
    """Let an agent announce a proxy in front of its lane's port."""
    port = int((server.folder / "lane.port").read_text())
    line = NetworkProxy(port)
    text = server.config.read_text()
    server.config.write_text(
        text.replace(f'advertise = ["127.0.0.1:{port}"]', f'advertise = ["{line.endpoint}"]')
    )
    return line


def _damage(state: Path, dice: random.Random) -> str:
    """Truncate, empty or overwrite one file of a stopped agent's state, and say what was done."""
    files = sorted(
        path
        for path in state.rglob("*")
        if path.is_file() and not any(part in str(path.relative_to(state)) for part in PROTECTED)
    )
    if not files:
        return "there was nothing to damage"
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
    return f"{how} of {path.relative_to(state)}"


def _kill_children(parent: int, name: str) -> None:
    """Kill the processes of this name whose session is that of `parent`."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, ProcessLookupError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == parent and (folder / "comm").read_text().strip() == name:
                os.kill(int(folder.name), signal.SIGKILL)


@contextmanager
def _down(line: NetworkProxy) -> Iterator[None]:
    line.down()
    try:
        yield
    finally:
        line.up()


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _delete(folder: Path) -> None:
    if not folder.exists():
        return
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder)
