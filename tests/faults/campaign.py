"""Run transfers of every kind under faults, and check that nothing is lost, doubled or left half-done."""

import contextlib
import gzip
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from agent.cloud import http
from agent.files.paths import PARTIAL_PREFIX
from agent.problems import OUTCOME_UNREADABLE
from events.manifest import NOT_ARRIVED, ManifestLine
from infra.local.environment import Environment, until
from lambdas.domain.problems import AGENT_REMOVED, AGENT_UNKNOWN, PREVIOUS_HOP_ENDED, PREVIOUS_HOP_INCOMPLETE
from tests.e2e.api import ApiRefusal, SignedInApi
from tests.e2e.conftest import ENDED
from tests.faults import updates
from tests.faults.faults import ImpossibleHereError, happen
from tests.faults.places import Folder, Place
from tests.faults.schedule import Event, PlannedTransfer, Schedule
from tests.faults.team import Team
from tests.faults.trees import DIRECTORY, NOT_UTF8, SPECIAL, Tree, is_file, make_tree

POLL_INTERVAL_S = 1.0
NEWEST = 20
"""How many transfers are asked for: more than all teams have under way."""
RETRIES = 3
"""How often a transfer that failed is retried, as an operator would."""
UPSTREAM_CODES = {PREVIOUS_HOP_ENDED.code, PREVIOUS_HOP_INCOMPLETE.code}
CODES_WITHOUT_MANIFEST = UPSTREAM_CODES | {AGENT_REMOVED.code, AGENT_UNKNOWN.code}
"""Of hops that the control plane has ended."""
EXTRA = b"extra"
"""A file that only the destination of a mirror has."""


class BrokenPromiseError(AssertionError):
    """Something is lost, wrong, doubled or left half-done."""


class States:
    """The states of transfers, most of them from one request for all who wait."""

    def __init__(self, api: SignedInApi) -> None:
        self._api, self._lock = api, threading.Lock()
        self._states: dict[str, str] = {}
        self._asked_at = 0.0

    def of(self, transfer_id: str) -> str:
        with self._lock:
            if time.monotonic() > self._asked_at + POLL_INTERVAL_S:
                transfers = self._api.get(f"/transfers?limit={NEWEST}")["transfers"]
                self._states = {one["transfer_id"]: one["state"] for one in transfers}
                self._asked_at = time.monotonic()
            if transfer_id in self._states:
                return self._states[transfer_id]
        # Others have started so many since then that it is no longer among the newest.
        return str(self._api.get(f"/transfers/{transfer_id}")["state"])


@dataclass
class RunningTransfer:
    """A transfer under way, and what its ends were before."""

    request: PlannedTransfer
    source: Place
    destinations: list[Place]
    before: Tree
    before_there: Tree
    transfer_id: str
    retries: int = 0

    def can_arrive(self, number: int, path: bytes, content: str) -> bool:
        """Return whether an entry of the source can be at the destination of this number."""
        passed = (
            self.destinations[: number + 1] if self.request.shape == "chain" else [self.destinations[number]]
        )
        if any(place.holds_only_files for place in passed):
            return is_file(path, content)
        return content != SPECIAL

    def lasting(self) -> set[bytes]:
        """Return the paths that cannot arrive at every destination, and have to be named."""
        return {
            path
            for path, content in self.before.items()
            for number in range(len(self.destinations))
            if content != DIRECTORY and not self.can_arrive(number, path, content)
        }


@dataclass(frozen=True)
class HopEnd:
    """How a hop has ended: the paths that it has not transferred, and why."""

    failures: dict[bytes, str | None]
    state: str
    code: str | None
    """Code of the problem of the whole hop."""

    @property
    def follows_from_other(self) -> bool:
        """Return whether it failed only because the hop before it did."""
        return self.code in UPSTREAM_CODES

    @property
    def is_unreadable(self) -> bool:
        """Return whether the agent's record of the hop was damaged, so that it cannot name single files."""
        return self.failures.get(b"") == OUTCOME_UNREADABLE.problem().message


class SeedRun:
    """One seed, run by one team."""

    def __init__(self, team: Team, states: States, seed: int) -> None:
        self._team, self._states, self._seed = team, states, seed
        self._schedule = Schedule.of(seed)
        self._reports: list[str] = []

    def run(self) -> str:
        """Run the schedule, and return what happened in how many seconds.

        Raises:
            BrokenPromiseError: a promise is broken; the message says which, for which transfer.
        """
        transfers: list[RunningTransfer] = []
        begun = time.monotonic()
        try:
            transfers += [self._start(number, one) for number, one in enumerate(self._schedule.requests)]
            self._run(transfers)
        finally:
            for transfer in transfers:
                for place in (transfer.source, *transfer.destinations):
                    place.delete()
        return f"{time.monotonic() - begun:.1f} s; {'; '.join(self._reports)}"

    def _run(self, transfers: list[RunningTransfer]) -> None:
        for event in self._schedule.events:
            self._happen(event, transfers)
        self._team.fleet.ensure()
        for transfer in transfers:
            self._finish(transfer)
            self._check(transfer)
        for name in self._team.fleet.servers:
            if self._team.fleet.agent(name).process.poll() is not None:
                raise BrokenPromiseError(f"{name} has ended")

    def _start(self, number: int, request: PlannedTransfer) -> RunningTransfer:
        name = f"{self._seed}-{number}"
        source = self._team.place(request.source, f"out-{name}")
        destinations = [self._team.place(where, f"in-{name}") for where in request.destinations]
        without = frozenset(place.does_not_take for place in (source, *destinations)) - {b""}
        if source.holds_only_files:
            without |= {NOT_UTF8}
        source.fill(lambda folder: make_tree(folder, random.Random(request.tree_seed), without))
        if request.options.get("delete_extra"):
            _prepare_mirror(destinations[0])
        body = {
            "source": source.location,
            "destinations": [place.location for place in destinations],
            "shape": request.shape,
            "options": request.options,
        }
        before, there = source.content(), destinations[0].content()
        transfer_id = str(self._team.fleet.api.post("/transfers", body)["transfer_id"])
        return RunningTransfer(request, source, destinations, _with_parents(before), there, transfer_id)

    def _happen(self, event: Event, transfers: list[RunningTransfer]) -> None:
        if event.fault == "pause":
            self._pause(event, transfers)
            return
        try:
            self._reports.append(happen(self._team, event))
        except ImpossibleHereError as error:
            self._reports.append(f"no {event.fault}: {error}")

    def _pause(self, event: Event, transfers: list[RunningTransfer]) -> None:
        for action in ("pause", "resume"):
            time.sleep(event.lasts_s)
            for transfer in transfers:
                with contextlib.suppress(ApiRefusal):  # it has ended already
                    self._team.fleet.api.post(f"/transfers/{transfer.transfer_id}/{action}")
        self._reports.append(f"pause for {event.lasts_s} s")

    def _finish(self, transfer: RunningTransfer) -> None:
        """Wait for the end of a transfer; retry it while something that may pass has failed."""
        while True:
            state = self._until_ended(transfer)
            if state == "succeeded" or transfer.retries == RETRIES or not self._may_pass(transfer):
                return
            transfer.retries += 1
            self._team.fleet.api.post(f"/transfers/{transfer.transfer_id}/retry")

    def _until_ended(self, transfer: RunningTransfer) -> str:
        def ask() -> str | None:
            state = self._states.of(transfer.transfer_id)
            return state if state in ENDED else None

        try:
            until("an end", ask)
        except TimeoutError:
            raise BrokenPromiseError(self._describe(transfer, ["it does not end"])) from None
        # the list may be older than a retry
        return str(self._team.fleet.until_state(transfer.transfer_id, *ENDED)["state"])

    def _may_pass(self, transfer: RunningTransfer) -> bool:
        """Return whether more has failed than what can never be transferred."""
        if transfer.request.options.get("dry_run"):  # it leaves no manifest
            return bool(self._team.fleet.transfer(transfer.transfer_id)["state"] == "failed")
        lasting = transfer.lasting()
        return any(
            hop.state == "failed"
            and not hop.follows_from_other
            and (not hop.failures or not hop.failures.keys() <= lasting)
            for hop in self._ends(transfer)
        )

    def _ends(self, transfer: RunningTransfer) -> list[HopEnd]:
        hops = self._team.fleet.transfer(transfer.transfer_id)["hops"]
        codes = {hop["hop_id"]: (hop["problem"] or {}).get("code") for hop in hops}
        without = {hop_id for hop_id, code in codes.items() if code in CODES_WITHOUT_MANIFEST}

        def ask() -> Any:
            answer = self._team.fleet.api.get(f"/transfers/{transfer.transfer_id}/manifest")
            there = {one["hop_id"] for one in answer["hops"]}  # a failed hop's may be of an earlier attempt
            return answer if set(answer["missing"]) - there <= without else None

        try:
            answer = until("the manifests", ask, interval_s=POLL_INTERVAL_S)
        except TimeoutError:
            raise BrokenPromiseError(self._describe(transfer, ["its manifests do not come"])) from None
        urls = {one["hop_id"]: one["url"] for one in answer["hops"]}
        return [
            HopEnd(
                _failures(urls[hop["hop_id"]]) if hop["hop_id"] in urls else {},
                hop["state"],
                codes[hop["hop_id"]],
            )
            for hop in hops
        ]

    def _check(self, transfer: RunningTransfer) -> None:
        if transfer.request.options.get("dry_run"):
            wrong = self._wrong_after_dry_run(transfer)
        else:
            wrong = self._wrong(transfer)
        if wrong:
            raise BrokenPromiseError(self._describe(transfer, wrong))

    def _wrong_after_dry_run(self, transfer: RunningTransfer) -> list[str]:
        state = self._team.fleet.transfer(transfer.transfer_id)["state"]
        expected = {"succeeded", "partially_failed"} if transfer.lasting() else {"succeeded"}
        wrong = [] if state in expected else [f"the dry run ended {state}"]
        if transfer.destinations[0].content() != transfer.before_there:
            wrong.append("the dry run has written")
        if _with_parents(transfer.source.content()) != transfer.before:
            wrong.append("the source has changed")
        return wrong

    def _wrong(self, transfer: RunningTransfer) -> list[str]:
        ends = self._ends(transfer)
        named = {path for hop in ends for path in hop.failures}
        wrong = [
            f"{path!r} failed without a reason"
            for hop in ends
            for path, why in hop.failures.items()
            if not why
        ]
        left = transfer.source.content()
        moved = bool(transfer.request.options.get("move"))
        for number, place in enumerate(transfer.destinations):
            there = place.content()
            nothing_named = ends[number].follows_from_other or any(end.is_unreadable for end in ends)
            excused = set(transfer.before) if nothing_named else named
            wrong += self._wrong_at(transfer, number, there, excused)
            if moved:
                wrong += [
                    f"{path!r} is lost: neither at the source nor at the destination"
                    for path, content in transfer.before.items()
                    if content not in (there.get(path), left.get(path))
                ]
        if not moved and _with_parents(left) != transfer.before:
            wrong.append("the source has changed")
        return wrong

    def _wrong_at(
        self, transfer: RunningTransfer, number: int, there: Tree, excused: set[bytes]
    ) -> list[str]:
        where = transfer.destinations[number].location
        wrong = [f"{path!r} is left in {where}" for path in there if PARTIAL_PREFIX.encode() in path]
        kept = {EXTRA} if excused else set()
        wrong += [f"{path!r} is extra in {where}" for path in there.keys() - transfer.before.keys() - kept]
        for path, content in transfer.before.items():
            if there.get(path) == content or path in excused:
                continue
            if content != DIRECTORY or transfer.can_arrive(number, path, content):
                wrong.append(f"{path!r} ({content}) is {there.get(path)} in {where}, and nothing says why")
        return wrong

    def _describe(self, transfer: RunningTransfer, wrong: Sequence[str]) -> str:
        view = self._team.fleet.transfer(transfer.transfer_id)
        lines = [f"{transfer.request}: {view['state']}, {transfer.retries} retries, {view['problem']}"]
        lines += [f"hop {hop['hop_id']}: {hop['state']}, {hop['problem']}" for hop in view["hops"]]
        return "\n".join([*lines, *self._reports, *wrong[:20]])


class Campaign:
    """Teams of servers in one environment, each of which runs one seed at a time."""

    def __init__(self, here: Environment, teams: Sequence[Team], api: SignedInApi) -> None:
        self._here, self._states = here, States(api)
        self._free: SimpleQueue[Team] = SimpleQueue()
        for team in teams:
            self._free.put(team)
        self._pool = ThreadPoolExecutor(len(teams))

    @classmethod
    @contextmanager
    def running(cls, here: Environment, teams: int = 2) -> Iterator["Campaign"]:
        """Enroll and start the servers, and end them afterwards."""
        api = SignedInApi.signed_in(here, here.user, here.password)
        updates.publish(here)
        with ExitStack() as opened:
            campaign = cls(
                here, [opened.enter_context(Team.running(number, here, api)) for number in range(teams)], api
            )
            opened.callback(campaign._pool.shutdown, cancel_futures=True)
            yield campaign

    def start(self, seed: int) -> "Future[str]":
        """Run a seed as soon as a team is free; the future gets what happened.

        It raises BrokenPromiseError if a promise is broken.
        """
        return self._pool.submit(self._run, seed)

    def _run(self, seed: int) -> str:
        team = self._free.get()
        try:
            return SeedRun(team, self._states, seed).run()
        except Exception:
            team.restore()  # the next seed begins with three agents, too
            raise
        finally:
            self._free.put(team)

    def verify_audit(self) -> None:
        """Check that the audit has every change. Raises BrokenPromiseError."""
        done = self._here.operator.try_("audit", "verify")
        if done.returncode:
            raise BrokenPromiseError(f"the audit does not verify: {done.stdout}{done.stderr}")


def _prepare_mirror(place: Place) -> None:
    """Put something at a destination that a mirror replaces or removes."""
    if isinstance(place, Folder):
        place.path.mkdir(parents=True)
        (place.path / EXTRA.decode()).write_bytes(b"extra")
        (place.path / "big0").write_bytes(b"old")


def _with_parents(tree: Tree) -> Tree:
    """Return the tree with the directories that its files are in: S3 has none of its own."""
    parents = {path[:end] for path in tree for end, byte in enumerate(path) if byte == ord("/")}
    return dict.fromkeys(parents, DIRECTORY) | tree


def _failures(url: str) -> dict[bytes, str | None]:
    """Return the paths that a manifest calls not arrived, and why."""
    with http.client(url) as client:
        content = gzip.decompress(client.get(url).content)
    lines = map(ManifestLine.model_validate_json, content.splitlines())
    return {
        line.decoded_path: line.problem and line.problem.message
        for line in lines
        if line.outcome in NOT_ARRIVED
    }
