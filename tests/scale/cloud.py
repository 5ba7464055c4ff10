"""A model of AWS as far as it limits Crosshaul: partitions, concurrency, queues, streams and quotas.

Events in the order of time; an invocation is computed when it begins, from the calls that the real handler
made for the same event (`calibration.py`).
"""

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from infra.plans import MIN_CONCURRENCY, PLANS, UNRESERVED
from lambdas.store.base import TRANSACTION_ATTEMPTS
from lambdas.store.transfer_rows import TOTALS
from lambdas.store.transfer_totals import SHARDS
from lambdas.transfers.writer import MAX_ATTEMPTS
from tests.scale import ceilings
from tests.scale.calibration import Step

Entities = dict[str, int]
"""Numbers of what the placeholders in a step's keys stand for."""
Done = Callable[[float, bool], None]
"""Called with the end of an invocation, and whether it has succeeded."""


LATE_S = 10.0
"""Seconds from an event to its effect that a person would call late."""


class TokenBucket:
    """A rate with a second of burst."""

    __slots__ = ("_at", "_left", "rate")

    def __init__(self, rate: float) -> None:
        self.rate, self._left, self._at = rate, rate, 0.0

    def has_room(self, now: float) -> bool:
        if now > self._at:
            self._left = min(self.rate, self._left + (now - self._at) * self.rate)
            self._at = now
        return self._left > 0

    def take(self, units: float) -> None:
        """Take units after `has_room`; a call that needs more than is left goes into debt."""
        self._left -= units


class _Partitions:
    """The partitions of a table or an index, for writes or reads."""

    def __init__(self, name: str, writes: bool) -> None:
        of_all, of_one = (
            (ceilings.TABLE_WRITES, ceilings.PARTITION_WRITES)
            if writes
            else (ceilings.TABLE_READS, ceilings.PARTITION_READS)
        )
        self.name = f"{name} ({'writes' if writes else 'reads'})"
        self.partitions = [TokenBucket(of_one.most) for _ in range(ceilings.PARTITIONS)]
        self.whole = TokenBucket(of_all.most)
        self.units = 0.0
        self.most = 0.0
        """Most units that one partition has taken in a second."""
        self._second = [0] * ceilings.PARTITIONS
        self._sum = [0.0] * ceilings.PARTITIONS

    def take(self, partition: int, units: float, now: float) -> None:
        self.partitions[partition].take(units)
        self.whole.take(units)
        self.units += units
        second = int(now)
        if second != self._second[partition]:
            self._second[partition], self._sum[partition] = second, 0.0
        self._sum[partition] += units
        self.most = max(self.most, self._sum[partition])


@dataclass(frozen=True, slots=True)
class _Use:
    place: _Partitions
    fixed: int
    entity: str
    units: float


@dataclass(frozen=True, slots=True)
class _Call:
    seconds: float
    uses: tuple[_Use, ...]
    quota: TokenBucket | None
    quota_name: str
    is_transaction: bool
    shared: tuple[str, ...]
    """Rows that transactions of other transfers write, too, without their shards."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    calls: tuple[_Call, ...]
    sums: dict[str, float]


@dataclass
class Latencies:
    """Seconds from an event to its effect, by kind."""

    by_kind: dict[str, list[float]] = field(default_factory=dict)

    def add(self, kind: str, seconds: float) -> None:
        self.by_kind.setdefault(kind, []).append(seconds)

    def quantile(self, kind: str, share: float) -> float:
        values = sorted(self.by_kind[kind])
        return values[min(len(values) - 1, int(share * len(values)))]


class SimulatedCloud:
    """The clock, the tables, the functions and the bill."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.random = random.Random(seed)
        self.bill: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self.dead: Counter[str] = Counter()
        """Events that were given up, by function."""
        self.deepest: Counter[str] = Counter()
        """Longest queues."""
        self.latencies = Latencies()
        self.late_until = 0.0
        """When the last effect came that took longer than `LATE_S`."""
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._number = 0
        self._places: dict[tuple[str, bool], _Partitions] = {}
        self._compiled: dict[int, _Compiled] = {}
        self._kept: list[Step] = []
        self._held: dict[str, deque[float]] = {}
        """When the latest transactions that write a row began."""
        self.quotas = {
            "connects": TokenBucket(ceilings.CONNECTS.most),
            "subscriptions": TokenBucket(ceilings.SUBSCRIPTIONS.most),
            "publishes": TokenBucket(ceilings.PUBLISHES.most),
            "rules": TokenBucket(ceilings.RULES.most),
            "signatures": TokenBucket(ceilings.SIGNATURES.most),
            "events": TokenBucket(ceilings.BUS.most),
            "requests": TokenBucket(ceilings.API.most),
        }
        self.functions = {name: Function(self, name) for name in PLANS}
        self.is_up = True
        """Whether the region works; while it does not, no function is called."""

    def forget(self) -> None:
        """Forget what was measured until now: it was before the scenario proper."""
        self.latencies = Latencies()
        self.throttled.clear()
        self.deepest.clear()

    def at(self, when: float, act: Callable[..., Any], *arguments: Any) -> None:
        self._number += 1
        heapq.heappush(self._heap, (max(when, self.now), self._number, act, arguments))

    def run(self, until: float = math.inf) -> None:
        """Let everything happen that happens before then."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, act, arguments = heapq.heappop(heap)
            act(*arguments)

    def allows(self, quota: str) -> bool:
        """Take one from a quota; count it as throttled if there is none."""
        bucket = self.quotas[quota]
        if bucket.has_room(self.now):
            bucket.take(1)
            return True
        self.throttled[f"IoT Core: {quota}" if quota in {"connects", "subscriptions"} else quota] += 1
        return False

    def wait(self, name: str, length: int) -> None:
        """Note how long a queue is."""
        self.deepest[name] = max(self.deepest[name], length)

    def effect(self, kind: str, since: float, at: float) -> None:
        """Note that an event of `since` has had its effect."""
        self.latencies.add(kind, at - since)
        if at - since > LATE_S:
            self.late_until = max(self.late_until, at)

    # Tables

    def execute(self, step: Step, entities: Entities, start: float, per_call: float) -> tuple[float, bool]:
        """Return when the calls of a step are over, and whether all have succeeded."""
        compiled = self._compile(step)
        for name, amount in compiled.sums.items():
            self.bill[name] += amount
        now, chance = start, self.random.random
        for call in compiled.calls:
            attempt = 0
            while not self._passes(call, entities, now):
                attempt += 1
                attempts, first = (
                    (TRANSACTION_ATTEMPTS, 0.1) if call.is_transaction else (ceilings.ATTEMPTS, 1.0)
                )
                if attempt >= attempts:
                    return now, False
                now += chance() * first * 2 ** (attempt - 1)
            if call.shared:
                now = self._without_conflict(call, entities["transfer"] % SHARDS, now)
            now += call.seconds * (0.7 + 0.6 * chance()) + per_call
        return now, True

    def _passes(self, call: _Call, entities: Entities, now: float) -> bool:
        if call.quota is not None:
            if not call.quota.has_room(now):
                self.throttled[call.quota_name] += 1
                return False
            call.quota.take(1)
        chosen = []
        for use in call.uses:
            place, partitions = use.place, use.place.partitions
            number = use.fixed if not use.entity else entities[use.entity] * 2654435761 >> 7
            partition = number % len(partitions)
            if not (partitions[partition].has_room(now) and place.whole.has_room(now)):
                self.throttled[place.name] += 1
                return False
            chosen.append((place, partition, use.units))
        for place, partition, units in chosen:
            place.take(partition, units, now)
        return True

    def _without_conflict(self, call: _Call, shard: int, now: float) -> float:
        """Return when a transaction meets no other one that writes the same row, after random pauses.

        `TransferWriter` tries again; what it reads again is left out.
        """
        rows = [f"{row}#{shard}" for row in call.shared]
        for attempt in range(MAX_ATTEMPTS):
            held = (self._held.setdefault(row, deque(maxlen=100)) for row in rows)
            if not any(abs(now - other) < call.seconds for row in held for other in row):
                break
            self.throttled["transactions that met on a row of totals"] += 1
            now += self.random.uniform(0, 0.4 * (attempt + 1) / MAX_ATTEMPTS)
        for row in rows:
            self._held[row].append(now)
        return now

    def _compile(self, step: Step) -> _Compiled:
        found = self._compiled.get(id(step))
        if found is None:
            sums: Counter[str] = Counter({"logged bytes": step.log_bytes + 120})
            found = _Compiled(tuple(self._compile_call(call, sums) for call in step.calls), dict(sums))
            self._compiled[id(step)] = found
            self._kept.append(step)  # its id stays its own
        return found

    def _compile_call(self, call: Any, sums: Counter[str]) -> _Call:
        uses: dict[tuple[str, str, bool], float] = {}
        for use in call.uses:
            key = (use.place, use.key, use.writes)
            uses[key] = uses.get(key, 0.0) + use.units
            sums["written units" if use.writes else "read units"] += use.units
        quota = {"Sign": "signatures", "Publish": "publishes", "PutEvents": "events"}.get(call.operation)
        if call.operation == "Publish":
            sums["messages"] += 2 * max(1, math.ceil(call.size / 5_000))  # to the broker, and from it
        if quota:
            sums[quota] += 1
        if call.operation in {"SendMessage", "AssumeRole"}:
            sums[call.operation] += 1
        shared = {
            f"{use.key} {use.item.rpartition('#')[0]}"
            for use in call.uses
            if call.is_transaction and use.key.startswith(TOTALS)
        }
        return _Call(
            ceilings.SECONDS.get(call.operation, ceilings.OTHER_SECONDS),
            tuple(self._compile_use(*key, units) for key, units in uses.items()),
            self.quotas[quota] if quota else None,
            quota or "",
            call.is_transaction,
            tuple(sorted(shared)),
        )

    def _compile_use(self, place: str, key: str, writes: bool, units: float) -> _Use:
        found = self._places.setdefault((place, writes), _Partitions(place, writes))
        entity = key[key.index("{") + 1 : key.index("}")] if "{" in key else ""
        return _Use(found, crc32(key.encode()), entity, units)

    def busiest(self) -> list[tuple[str, float]]:
        """Return tables and indexes with the most units of a partition in a second, the busiest first."""
        return sorted(((place.name, place.most) for place in self._places.values()), key=lambda one: -one[1])

    def units(self) -> dict[str, float]:
        """Return what each table and index has taken in all."""
        return {place.name: place.units for place in self._places.values() if place.units}

    @property
    def unreserved(self) -> int:
        """Executions that functions without a reservation share."""
        return int(ceilings.CONCURRENCY.most) - MIN_CONCURRENCY + UNRESERVED


class Function:
    """One Lambda function: environments, concurrency and time."""

    def __init__(self, cloud: SimulatedCloud, name: str) -> None:
        plan = PLANS[name]
        self.cloud, self.name = cloud, name
        self.limit = plan.reserved or cloud.unreserved
        self.busy = 0
        self.most = 0
        self._idle: list[float] = []
        self._starts = TokenBucket(ceilings.NEW_ENVIRONMENTS.most)
        share = min(plan.megabytes / ceilings.FULL_PROCESSOR_MB, 1.0)
        self._base, self._per_call = ceilings.PROCESSOR_S / share, ceilings.PROCESSOR_PER_CALL_S / share
        self._gigabytes = plan.megabytes / 1024
        self._waiting = 0

    @property
    def has_room(self) -> bool:
        return self.cloud.is_up and self.busy < self.limit

    def call(
        self,
        work: Sequence[tuple[Step, Entities]],
        done: Done,
        threads: int = 1,
        most_s: float = math.inf,
    ) -> list[float]:
        """Run an invocation that handles these events; the caller has looked for room.

        Return when it has handled each, up to one that fails. Several threads wait for answers at the same
        time, and share one processor. Nothing is begun after `most_s` seconds.
        """
        cloud = self.cloud
        now = cloud.now + self._environment()
        start, succeeded, ends = now, True, list[float]()
        now += self._base
        for step, entities in work:
            if now - start > most_s:
                break
            end, succeeded = cloud.execute(step, entities, now, self._per_call)
            processor = len(step.calls) * self._per_call if threads > 1 else 0.0
            now += max((end - now) / threads, processor)
            if not succeeded:
                break
            ends.append(now)
        self.busy += 1
        self.most = max(self.most, self.busy)
        cloud.bill[f"calls of {self.name}"] += 1
        cloud.bill["gigabyte seconds"] += (now - start) * self._gigabytes
        cloud.at(now, self._end, done, succeeded)
        return ends

    def _environment(self) -> float:
        """Return the seconds until an environment is there: none if one is warm."""
        now = self.cloud.now
        while self._idle:
            used = self._idle.pop()
            if now - used < ceilings.IDLE_ENVIRONMENT_S:
                return 0.0
            self._idle.clear()  # the others are older
        self.cloud.bill["cold starts"] += 1
        self._starts.has_room(now)
        self._starts.take(1)
        return ceilings.COLD_START_S

    def _end(self, done: Done, succeeded: bool) -> None:
        self.busy -= 1
        self._idle.append(self.cloud.now)
        done(self.cloud.now, succeeded)

    # How events come to it

    def later(self, step: Step, entities: Entities, done: Done) -> None:
        """Handle an event asynchronously, with Lambda's own queue and its pauses."""
        self._waiting += 1
        self.cloud.wait(f"events for {self.name}", self._waiting)
        self._try(step, entities, done, 0, 0)

    def _try(self, step: Step, entities: Entities, done: Done, throttled: int, failed: int) -> None:
        cloud = self.cloud
        if not self.has_room:
            cloud.throttled[f"{self.name} (concurrency)"] += 1
            pause = min(ceilings.MAX_ASYNC_PAUSE_S, 2.0**throttled) * cloud.random.uniform(0.5, 1.0)
            cloud.at(cloud.now + pause, self._try, step, entities, done, throttled + 1, failed)
            return

        def over(at: float, succeeded: bool) -> None:
            if not succeeded and failed < len(ceilings.ASYNC_PAUSES_S):
                pause = ceilings.ASYNC_PAUSES_S[failed]
                cloud.at(at + pause, self._try, step, entities, done, throttled, failed + 1)
                return
            self._waiting -= 1
            if not succeeded:
                cloud.dead[self.name] += 1
            done(at, succeeded)

        self.call([(step, entities)], over)


@dataclass
class Arrived:
    """An event that waits in a stream or a queue."""

    step: Step
    entities: Entities
    done: Done
    attempts: int = 0


class EventSource:
    """A stream's shard, or a queue, that calls its function with batches."""

    def __init__(self, function: Function, *, batch: int, window_s: float, at_once: int, name: str) -> None:
        self._function, self._batch, self._window_s = function, batch, window_s
        self._at_once, self._name = at_once, name
        self._waiting: deque[Arrived] = deque()
        self._running = 0
        self._looks = False

    def add(self, arrived: Arrived) -> None:
        self._waiting.append(arrived)
        self._function.cloud.wait(self._name, len(self._waiting))
        self._look_soon(self._window_s)

    def _look_soon(self, pause: float) -> None:
        if not self._looks:
            self._looks = True
            self._function.cloud.at(self._function.cloud.now + pause, self._look)

    def _look(self) -> None:
        self._looks = False
        function, cloud = self._function, self._function.cloud
        while self._waiting and self._running < self._at_once:
            if not function.has_room:
                cloud.throttled[f"{function.name} (concurrency)"] += 1
                self._look_soon(1.0)
                return
            batch = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
            self._running += 1
            self._run(batch)

    def _run(self, batch: list[Arrived]) -> None:
        ends: list[float] = []

        def over(at: float, _: bool) -> None:
            self._running -= 1
            rest = batch[len(ends) :]
            if rest:
                rest[0].attempts += 1
                if rest[0].attempts >= ceilings.STREAM_ATTEMPTS:
                    cloud.dead[self._function.name] += 1
                    rest.pop(0).done(at, False)
            self._waiting.extendleft(reversed(rest))
            if self._waiting:
                self._look_soon(0.5 if rest else 0.0)

        cloud = self._function.cloud
        ends = self._function.call([(one.step, one.entities) for one in batch], over)
        for one, end in zip(batch, ends, strict=False):
            cloud.at(end, one.done, end, True)
