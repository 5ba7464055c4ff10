"""A fleet of agents in the model: they connect, say Hello, send heartbeats and carry out hops."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from agent.cloud.mqtt_link import ACK_TIMEOUT_S, MAX_RECONNECT_MS, MIN_RECONNECT_MS, RESUBSCRIPTION
from agent.hops.attempt import AttemptIntervals
from lambdas.agents.service import MAX_RUN_TIME as MAX_SILENT_TIME
from lambdas.agents.service import THREADS as SILENT_THREADS
from lambdas.domain.agent import SILENCE_CHECKS
from lambdas.transfers.lease_sweeper import MAX_RUN_TIME as MAX_SWEEP_TIME
from lambdas.transfers.lease_sweeper import THREADS as LAPSED_THREADS
from tests.scale import ceilings
from tests.scale.calibration import Profiles, Step
from tests.scale.cloud import Arrived, Done, Entities, EventSource, SimulatedCloud
from tests.scale.metering import Use

INTERVALS = AttemptIntervals()
MINUTE_S = 60.0
AGENT_ENTRY_BYTES = 60
"""Of an agent in the index that is counted each minute."""
SUBSCRIPTIONS = 3
"""Of an agent: its commands, and the announcements and answers of IoT Jobs."""


def _nothing(_: float, __: bool) -> None:
    """Take no notice."""


@dataclass(frozen=True)
class SimulatedHop:
    """One hop between two agents of the fleet, or from S3."""

    number: int
    source: int
    carrier: int
    seconds: float

    @property
    def entities(self) -> Entities:
        return {"transfer": self.number, "source": self.source, "carrier": self.carrier}


class SimulatedFleet:
    """Agents by number, from 0."""

    def __init__(self, cloud: SimulatedCloud, profiles: Profiles, agents: int) -> None:
        self.cloud, self.profiles, self.agents = cloud, profiles, agents
        self.connected = [False] * agents
        self.running = [0] * agents
        self.lapsed: list[SimulatedHop] = []
        """Hops whose leases have lapsed, for the next minute."""
        self.silent: list[int] = []
        """Agents that have gone silent, for the next minute."""
        self.back_at = 0.0
        """When a broken region works again."""
        self.unfinished = 0
        self._hops = 0
        self._beats = True
        self._unsent: dict[int, list[tuple[SimulatedHop, dict[str, list[Step]], str]]] = {}
        """Reports that wait in the agents' journals, which keep the newest checkpoint of a hop."""
        self._resting: dict[int, list[tuple[SimulatedHop, dict[str, list[Step]], float]]] = {}
        """Hops whose checkpoints go on with the next connection, until these times."""
        self._generation = [0] * agents
        lanes = ceilings.PARTITIONS * ceilings.STREAM_PARALLEL
        self._stream = [
            EventSource(
                cloud.functions["OnChange"],
                batch=ceilings.STREAM_BATCH,
                window_s=0.0,
                at_once=1,
                name="entries of transfers in the stream, of one lane",
            )
            for _ in range(lanes)
        ]
        self._audit = _AuditSource(
            cloud.functions["OnAudit"],
            batch=ceilings.AUDIT_BATCH,
            window_s=ceilings.AUDIT_WINDOW_S,
            at_once=ceilings.AUDIT_PARALLEL,
            name="audit records in the stream",
        )
        self._uploads = EventSource(
            cloud.functions["OnObject"],
            batch=1,  # a step is a whole batch of objects
            window_s=ceilings.QUEUE_WINDOW_S,
            at_once=ceilings.QUEUE_CONCURRENCY,
            name="batches of objects in the queue",
        )

    def hop_at_work(self, seconds: float) -> SimulatedHop:
        """Return a hop that has begun before, between two agents; it counts as running on its carrier."""
        number = self.cloud.random.randrange(self.agents)
        hop = self.new_hop(number, (number + 1) % self.agents, seconds)
        self._start(hop, self._life(hop, self.profiles.hops))
        return hop

    def connect_silently(self) -> None:
        """Have all agents connected, and no heartbeat of theirs."""
        self.connected = [True] * self.agents
        self._beats = False

    def _step(self, name: str, number: int) -> Step:
        found = self.profiles.steps[name]
        return found[number % len(found)]

    # Agents

    def settle(self) -> None:
        """Have all agents connected since long, their heartbeats spread evenly."""
        for agent in range(self.agents):
            self.connected[agent] = True
            self._rhythm(agent, self.cloud.random.random())

    def disconnect(self, agents: range, *, notice: bool = True) -> None:
        """Cut connections; the broker says so within its keep-alive, if the region works."""
        for agent in agents:
            self.connected[agent] = False
            self._generation[agent] += 1
            if notice:
                when = self.cloud.now + self.cloud.random.uniform(0, 45)
                self.cloud.at(when, self._presence, "disconnected", agent, when)

    def reconnect(self, agents: range, attempt: int = 0) -> None:
        """Let agents connect again, each after one of its growing pauses: the first, if it has just begun."""
        for agent in agents:
            self.cloud.at(
                self.cloud.now + self._pause(attempt), self._connect, agent, self.cloud.now, attempt
            )

    def _pause(self, attempt: int) -> float:
        """Return the seconds before an attempt to connect, as awscrt waits: full jitter."""
        most = min(MAX_RECONNECT_MS, MIN_RECONNECT_MS * 2**attempt) / 1000
        return self.cloud.random.uniform(0, most)

    def _connect(self, agent: int, since: float, attempt: int) -> None:
        cloud = self.cloud
        if not cloud.allows("connects"):
            cloud.at(cloud.now + self._pause(attempt + 1), self._connect, agent, since, attempt + 1)
            return
        cloud.at(cloud.now + 0.1, self._presence, "connected", agent, cloud.now)
        self._subscribe(agent, since)

    def _subscribe(self, agent: int, since: float) -> None:
        cloud = self.cloud
        if not cloud.allows("subscriptions"):
            pause = RESUBSCRIPTION.delay_s(0) * cloud.random.uniform(0.5, 1.5)
            cloud.at(cloud.now + pause, self._subscribe, agent, since)
            return
        refused = sum(not cloud.allows("subscriptions") for _ in range(SUBSCRIPTIONS - 1))
        if refused:
            self._subscribe_rest(agent, refused, 0)
        self.connected[agent] = True
        self._generation[agent] += 1
        kind = "hello with a hop" if self.running[agent] else "hello"
        self._report(kind, agent, since, "connection lost → Hello applied")
        self._rhythm(agent, 0.1)
        for resting in self._resting.pop(agent, ()):
            cloud.at(cloud.now + cloud.random.uniform(0, INTERVALS.checkpoint), self._checkpoint, *resting)
        for number, unsent in enumerate(self._unsent.pop(agent, ()), 1):
            cloud.at(cloud.now + 0.1 * number, self._tell, *unsent)  # each after the broker's answer

    def _subscribe_rest(self, agent: int, missing: int, retries: int) -> None:
        """Request again the subscriptions of a connected agent that were refused."""
        cloud = self.cloud

        def again() -> None:
            refused = sum(not cloud.allows("subscriptions") for _ in range(missing))
            if refused:
                self._subscribe_rest(agent, refused, retries + 1)
            else:
                self._report("hello again", agent, cloud.now, "Hello again → recorded")

        cloud.at(cloud.now + RESUBSCRIPTION.delay_s(retries) * cloud.random.uniform(0.5, 1.5), again)

    def _rhythm(self, agent: int, share: float) -> None:
        """Begin the heartbeats of a connection, the first one after a share of the idle interval."""
        generation, now = self._generation[agent], self.cloud.now
        self.cloud.at(now + share * INTERVALS.idle_heartbeat, self._beat, agent, generation)
        self.cloud.at(now + (0.5 + share / 2) * INTERVALS.hello, self._hello_again, agent, generation)

    def _beat(self, agent: int, generation: int) -> None:
        if generation != self._generation[agent] or not self._beats:
            return
        busy = self.running[agent] > 0
        kind = "busy heartbeat" if busy else self._idle_kind()
        self._report(kind, agent, self.cloud.now, "heartbeat → recorded")
        pause = INTERVALS.heartbeat if busy else INTERVALS.idle_heartbeat
        self.cloud.at(self.cloud.now + pause, self._beat, agent, generation)

    def _idle_kind(self) -> str:
        """Return whether a heartbeat of now moves the time at which its agent is looked at."""
        now, grid = self.cloud.now, SILENCE_CHECKS.total_seconds()
        moves = now // grid != (now - INTERVALS.idle_heartbeat) // grid
        return "heartbeat that moves" if moves else "heartbeat"

    def _hello_again(self, agent: int, generation: int) -> None:
        if generation == self._generation[agent] and self._beats:
            self._report("hello again", agent, self.cloud.now, "Hello again → recorded")
            self.cloud.at(self.cloud.now + INTERVALS.hello, self._hello_again, agent, generation)

    def _presence(self, kind: str, agent: int, since: float) -> None:
        cloud = self.cloud
        if cloud.allows("rules"):
            cloud.bill["rules"] += 1

            def over(at: float, _: bool) -> None:
                cloud.effect(f"{kind} → shown", since, at)

            cloud.functions["OnPresence"].later(self._step(kind, agent), {"agent": agent}, over)

    def _report(self, kind: str, agent: int, since: float, effect: str) -> None:
        entities = {"agent": agent, "carrier": agent, "source": agent + 1, "transfer": agent}
        self._send(self._step(kind, agent), entities, since, effect, _nothing)

    def _send(self, step: Step, entities: Entities, since: float, effect: str, done: Done) -> None:
        """Publish a report, again until the broker has taken it."""
        cloud = self.cloud
        if not cloud.allows("rules"):
            cloud.at(cloud.now + ACK_TIMEOUT_S, self._send, step, entities, since, effect, done)
            return
        cloud.bill["rules"] += 1

        def over(at: float, succeeded: bool) -> None:
            cloud.effect(effect, since, at)
            done(at, succeeded)

        cloud.functions["OnReport"].later(step, entities, over)

    # Hops

    def request(self, source: int, carrier: int, seconds: float) -> None:
        """Let a person request a transfer of one hop, which then takes so many seconds."""
        hop = self.new_hop(source, carrier, seconds)
        self._ask(hop, self._life(hop, self.profiles.hops), self.cloud.now)

    def arrive(self, carrier: int, seconds: float, since: float) -> None:
        """Let a batch of objects arrive for a template, and the agent fetch them."""
        hop = self.new_hop(carrier, carrier, seconds)
        life = self._life(hop, self.profiles.s3_hops)
        objects = life.pop("objects")[0]

        def over(at: float, succeeded: bool) -> None:
            self.cloud.effect("objects arrived → transfer", since, at)
            if succeeded:
                self._offered(hop, life, "objects", since)

        self.cloud.bill["queue messages"] += 3 * 100 / 10  # sent, received and deleted, ten at a time
        self._uploads.add(Arrived(objects, hop.entities, over))

    def new_hop(self, source: int, carrier: int, seconds: float = 0.0) -> SimulatedHop:
        self._hops += 1
        self.unfinished += 1
        return SimulatedHop(self._hops, source, carrier, seconds)

    def _life(self, hop: SimulatedHop, lives: list[list[Step]]) -> dict[str, list[Step]]:
        life: dict[str, list[Step]] = {}
        for step in lives[hop.number % len(lives)]:
            life.setdefault(step.name, []).append(step)
        return life

    def _ask(self, hop: SimulatedHop, life: dict[str, list[Step]], since: float, attempt: int = 0) -> None:
        cloud, function = self.cloud, self.cloud.functions["Api"]
        if not (cloud.allows("requests") and function.has_room):
            cloud.throttled["Api (concurrency)"] += 1
            cloud.at(cloud.now + 2.0**attempt, self._ask, hop, life, since, attempt + 1)
            return
        cloud.bill["API requests"] += 1

        def over(at: float, succeeded: bool) -> None:
            if not succeeded:
                cloud.at(at + 1, self._ask, hop, life, since, attempt + 1)
                return
            cloud.effect("request → answer", since, at)
            self._offered(hop, life, "request", since)

        function.call([(life["request"][0], hop.entities)], over)

    def _offered(self, hop: SimulatedHop, life: dict[str, list[Step]], after: str, since: float) -> None:
        """Follow the stream of a new transfer until its commands are with the agents."""
        for step in life.get("audit", ()):
            self._audit.add(Arrived(step, hop.entities, _nothing))

        def offered(at: float, succeeded: bool) -> None:
            if not succeeded:
                self.unfinished -= 1
                return
            self.cloud.effect("request → offered" if after == "request" else "objects → offered", since, at)
            for step in life[f"stream: {after}"][1:]:
                self._entry(hop, step, _nothing)
            self.cloud.at(at + 0.5, self._start, hop, life)

        self._entry(hop, life[f"stream: {after}"][0], offered)

    def _entry(self, hop: SimulatedHop, step: Step, done: Done) -> None:
        """Let a new timeline entry come to its function through the stream."""
        cloud = self.cloud
        lane = self._stream[hop.number * 2654435761 % len(self._stream)]
        pause = ceilings.STREAM_LAG_S + cloud.random.uniform(0, ceilings.STREAM_POLL_S)
        cloud.at(cloud.now + pause, lane.add, Arrived(step, hop.entities, done))

    def _start(self, hop: SimulatedHop, life: dict[str, list[Step]]) -> None:
        cloud = self.cloud
        for step in life.get("credentials", ()):
            cloud.bill["API requests"] += 1
            cloud.functions["Api"].call([(step, hop.entities)], _nothing)
        self.running[hop.carrier] += 1
        if self.running[hop.carrier] == 1 and self.connected[hop.carrier]:
            self._generation[hop.carrier] += 1
            self._rhythm(hop.carrier, cloud.random.random() / 10)
        end = cloud.now + hop.seconds
        self._tell(hop, life, "started")
        cloud.at(cloud.now + INTERVALS.checkpoint, self._checkpoint, hop, life, end)
        cloud.at(end, self._tell, hop, life, "verifying")
        cloud.at(end + 0.5, self._finish, hop, life)

    def _checkpoint(self, hop: SimulatedHop, life: dict[str, list[Step]], end: float) -> None:
        if self.cloud.now >= end:
            return
        self._tell(hop, life, "checkpoint")
        if self.connected[hop.carrier]:
            self.cloud.at(self.cloud.now + INTERVALS.checkpoint, self._checkpoint, hop, life, end)
        else:  # the next ones replace this one in the journal until there is a connection
            self._resting.setdefault(hop.carrier, []).append((hop, life, end))

    def _finish(self, hop: SimulatedHop, life: dict[str, list[Step]]) -> None:
        self.running[hop.carrier] -= 1
        self._tell(hop, life, "succeeded")

    def _tell(self, hop: SimulatedHop, life: dict[str, list[Step]], kind: str) -> None:
        if not self.connected[hop.carrier]:
            waiting = self._unsent.setdefault(hop.carrier, [])
            waiting[:] = [one for one in waiting if (one[0], one[2]) != (hop, "checkpoint")]
            waiting.append((hop, life, kind))
            return

        def over(_: float, succeeded: bool) -> None:
            if kind == "succeeded":
                self.unfinished -= 1
            for step in life.get(f"stream: {kind}", ()) if succeeded else ():
                self._entry(hop, step, _nothing)

        self._send(life[kind][0], hop.entities, self.cloud.now, f"{kind} → recorded", over)

    # Each minute

    def minutes(self, until: float) -> None:
        """Call the function of each minute until then."""
        self._minute(until)

    def _minute(self, until: float) -> None:
        cloud, function = self.cloud, self.cloud.functions["OnSchedule"]
        if cloud.now + MINUTE_S <= until:
            cloud.at(cloud.now + MINUTE_S, self._minute, until)
        if not function.has_room:
            cloud.throttled["OnSchedule (one at a time)"] += 1
            return
        counted = 2 * 0.5 * self.agents * AGENT_ENTRY_BYTES / 4096
        cloud.bill["read units"] += counted
        (end,) = function.call([(self._step("minute", 0), {})], _nothing)
        lapsed = [(self._step("lapsed", hop.number), hop.entities) for hop in self.lapsed]
        end, done = self._many("lapsed → queued again", lapsed, LAPSED_THREADS, MAX_SWEEP_TIME, end)
        for hop in self.lapsed[:done]:
            cloud.at(end, self._entry, hop, self._step("stream: lapsed", hop.number), _nothing)
        silent = [(self._step("silent", agent), {"agent": agent}) for agent in self.silent]
        end, marked = self._many("silent → marked", silent, SILENT_THREADS, MAX_SILENT_TIME, end)
        del self.lapsed[:done], self.silent[:marked]

    def _many(
        self, effect: str, work: list[tuple[Step, Entities]], threads: int, most: timedelta, start: float
    ) -> tuple[float, int]:
        """Let a task of the minute handle many; return its end and how many it has handled."""
        if not work:
            return start, 0
        cloud = self.cloud
        ends = cloud.functions["OnSchedule"].call(work, _nothing, threads, most.total_seconds())
        waited = start - cloud.now  # its tasks follow one another
        for end in ends:
            cloud.effect(effect, self.back_at, end + waited)
        return ends[-1] + waited, len(ends)


class _AuditSource(EventSource):
    """The one reader of the audit's stream, whose batch makes one link of the chain."""

    def _run(self, batch: list[Arrived]) -> None:
        merged = replace(batch[0], step=chained(batch[0].step, len(batch)), done=partial(_all, batch))
        super()._run([merged])


def _all(batch: list[Arrived], at: float, succeeded: bool) -> None:
    for one in batch:
        one.done(at, succeeded)


_chained: dict[tuple[int, int], Step] = {}


def chained(one: Step, records: int) -> Step:
    """Return what a batch of records costs, from what one does: its pointers for each, its link once."""
    key = (id(one), records)
    if key not in _chained:
        pointers = [use for call in one.calls if call.is_transaction for use in call.uses]
        rest = [call for call in one.calls if not call.is_transaction]
        transaction = next(call for call in one.calls if call.is_transaction)
        many = [replace(use, key=f"{use.key[:6]}{number}") for number in range(records) for use in pointers]
        chunks = [many[first : first + 100] for first in range(0, len(many), 100)]
        calls = [replace(transaction, uses=tuple(chunk)) for chunk in chunks]
        grown = [replace(call, uses=tuple(_grown(use, records) for use in call.uses)) for call in rest]
        _chained[key] = replace(one, calls=(*calls, *grown))
    return _chained[key]


LINK_BYTES, ENTRY_BYTES = 400, 150
"""Of a link without records, and of each record in it."""


def _grown(use: Use, records: int) -> Use:
    """Return the read of the last link, or the write of the next one, with so many records in it."""
    size = LINK_BYTES + ENTRY_BYTES * records
    units = -(-size // (1024 if use.writes else 4096))
    return replace(use, units=float(units))
