"""Run the real handlers on moto, event by event, and keep what each of them asked of AWS."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import pytest

from events.progress import Connection, Progress
from events.reports import AgentHop, Checkpoint, Heartbeat, RootState, Started, Succeeded, Verifying
from lambdas import adapters, on_audit, on_change, on_object, on_presence, on_report, on_schedule, wiring
from lambdas.aws.change_notifier import IotChangeNotifier
from lambdas.domain.agent import SILENCE_CHECKS
from lambdas.telemetry import logger
from tests.scale.metering import CallMeter, MeteredCall, Use, metered
from tests.support.control_plane import (
    REGION,
    Context,
    ControlPlane,
    control_plane,
    hello,
)
from tests.support.moto_shortcuts import moto_shortcuts

VARIANTS = 3
"""Times that each event is measured, with other agents and transfers: indexes may be sharded by name."""
TRANSFERS, AUDIT = "transfers-table", "audit-table"
SHARDED = ("/silent", "/due")
"""Indexes whose entries are in shards, which have more keys than an index has partitions."""
_SPREAD_BY = ("{transfer}", "{agent}", "{carrier}")
"""Tables with a stream."""
EVENTS_OF_A_BATCH = 100
"""Messages of the queue of uploads in one call of its function."""
SILENT_FOR_SURE_S = 1_600
"""Seconds after an idle agent's heartbeat by which it has been looked at and marked."""
FREE = 1_050_000_000_000
"""Bytes free on the agents' disks of 10 TB: a little less is the same share in percent."""
_BUSY = 10
"""Hops running, as a busy agent's heartbeat says."""


@dataclass(frozen=True)
class Step:
    """What one event cost the function that handled it."""

    name: str
    function: str
    calls: tuple[MeteredCall, ...]
    log_bytes: int


@dataclass(frozen=True)
class Profiles:
    """Steps by the name of their event; each a list with one for every variant.

    Keys of steps have `{transfer}`, `{source}` and `{carrier}` in the places of names that differ between
    events, so that the model can put others there.
    """

    steps: dict[str, list[Step]] = field(default_factory=dict)
    hops: list[list[Step]] = field(default_factory=list)
    """For each variant, what one hop between two agents costs from its request to its end."""
    s3_hops: list[list[Step]] = field(default_factory=list)
    """For each variant, what a hop from S3 costs that a batch of objects has started."""

    def add(self, step: Step) -> None:
        self.steps.setdefault(step.name, []).append(step)


class _Plane:
    """The control plane of the tests, with the real publisher and directory on moto, and its meter."""

    def __init__(self, here: ControlPlane, meter: CallMeter, log: io.StringIO, clock: "_Clock") -> None:
        self._here, self._meter, self._log, self.clock = here, meter, log, clock
        self._names: dict[str, str] = {}
        self.transfer_id = ""
        """The transfer that the events are about."""
        self.keys: dict[str, str] = {}
        """API keys of agents."""

    def names(self, **names: str) -> None:
        """Say which texts in keys are placeholders from now on."""
        self._names = {text: f"{{{name}}}" for name, text in names.items()}

    def step(self, name: str, function: str, act: Callable[[], Any]) -> Step:
        """Let something happen and return what it cost."""
        self._meter.take()
        self._log.seek(0)
        self._log.truncate()
        self.clock.forward(0.01)
        act()
        return self.generalized(Step(name, function, self._meter.take(), len(self._log.getvalue())))

    def generalized(self, step: Step) -> Step:
        """Return a step with placeholders in its keys."""
        calls = (replace(call, uses=tuple(map(self._general, call.uses))) for call in step.calls)
        return replace(step, calls=tuple(calls))

    def _general(self, use: Use) -> Use:
        if use.place.endswith(SHARDED):
            known = self._names.values()
            return replace(use, key=next((one for one in _SPREAD_BY if one in known), use.key))
        key, item = use.key, use.item
        for text, placeholder in self._names.items():
            key, item = key.replace(text, placeholder), item.replace(text, placeholder)
        return replace(use, key=key, item=item)

    def presence(self, agent: str, kind: str, session: int) -> Step:
        event = {
            "clientId": adapters.topics().thing(agent),
            "timestamp": round(1000 * self.clock().timestamp()),
            "eventType": kind,
            "versionNumber": session,
        }
        return self.step(kind, "OnPresence", lambda: on_presence.handler(event, Context()))  # type: ignore[arg-type]

    def report(self, agent: str, report: Any, name: str = "") -> Step:
        event = {
            "wire": 1,
            "report": json.loads(report.model_dump_json()),
            "thing": adapters.topics().thing(agent),
            "received": round(1000 * self.clock().timestamp()),
        }
        return self.step(
            name or report.kind,
            "OnReport",
            lambda: on_report.handler(event, Context()),  # type: ignore[arg-type]
        )

    def stream(self, after: str) -> Iterator[Step]:
        """Handle new timeline entries, one by one, until none follows."""
        while items := [
            item for item in self._meter.take_inserted(TRANSFERS) if item["part"]["S"].startswith("at#")
        ]:
            for item in items:
                event = {"Records": [_stream_record(item)]}
                yield self.step(
                    f"stream: {after}",
                    "OnChange",
                    lambda event=event: on_change.handler(event, Context()),
                )

    def chain(self, most: int = 100) -> list[Step]:
        """Handle new audit records; return a step for each batch."""
        records = [
            _stream_record(item)
            for item in self._meter.take_inserted(AUDIT)
            if item["day"]["S"].startswith("2")
        ]
        batches = [records[first : first + most] for first in range(0, len(records), most)]
        return [
            self.step(
                "audit",
                "OnAudit",
                lambda batch=batch: on_audit.handler({"Records": batch}, Context()),
            )
            for batch in batches
        ]

    def api(self, name: str, act: Callable[[], Any]) -> Step:
        return self.step(name, "Api", act)

    def minute(self) -> Step:
        return self.step("minute", "OnSchedule", lambda: on_schedule.handler({}, Context()))  # type: ignore[arg-type]


def _begin() -> datetime:
    """Return a time of today at which agents are looked at, so that every run meters the same."""
    now = datetime.now(UTC).replace(microsecond=0)
    return now - timedelta(seconds=now.timestamp() % SILENCE_CHECKS.total_seconds())


@dataclass
class _Clock:
    now: datetime = field(default_factory=_begin)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@contextmanager
def _plane() -> Iterator[tuple[_Plane, ControlPlane]]:
    log, clock = io.StringIO(), _Clock()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(log), moto_shortcuts():
        real = {name: getattr(adapters, name) for name in _REAL}
        patch.setattr(adapters, "clock", clock)
        patch.setattr(logger.registered_handler, "stream", log)
        with control_plane(patch) as here:
            _make_real(patch, real)
            with metered(REGION) as meter:
                yield _Plane(here, meter, log, clock), here


_REAL = ("command_publisher", "change_notifier", "kms")


def _make_real(patch: pytest.MonkeyPatch, real: dict[str, Any]) -> None:
    """Put the real publisher and keys in the places of the fakes, on moto's services."""
    kms = boto3.client("kms", REGION)
    keys = [kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"] for _ in range(3)]
    queue = boto3.client("sqs", REGION).create_queue(QueueName="retries")["QueueUrl"]
    settings = {
        "SIGNING_KEY_ID": keys[0]["Arn"],
        "NEXT_SIGNING_KEY_ID": keys[1]["Arn"],
        "AUDIT_KEY_ID": keys[2]["Arn"],
        "RETRY_QUEUE_URL": queue,
    }
    for name, value in settings.items():
        patch.setenv(f"CROSSHAUL_{name}", value)
    for name in _REAL:
        patch.setattr(adapters, name, real[name])
    # One a second whatever the number of agents is: part of no agent's cost.
    patch.setattr(IotChangeNotifier, "announce_agents", lambda _: None)
    for half in (adapters, wiring):
        for thing in vars(half).values():
            if hasattr(thing, "cache_clear"):
                thing.cache_clear()


def _stream_record(item: dict[str, Any]) -> dict[str, Any]:
    change = {"SequenceNumber": "1", "NewImage": item, "Keys": {}, "StreamViewType": "NEW_IMAGE"}
    return {"eventID": "1", "eventName": "INSERT", "dynamodb": change, "eventSource": "aws:dynamodb"}


def _roots(free: int) -> tuple[RootState, ...]:
    return (
        RootState(path="/data", access="ro", free=free, size=10**13),
        RootState(path="/primary", access="rw", free=free, size=10**13),
    )


def _heartbeat(clock: _Clock, free: int, running: int = 0) -> Heartbeat:
    return Heartbeat(
        at=clock(), running=running, load=0.1, roots=_roots(free), next_within_s=30 if running else 300
    )


@cache
def profiles() -> Profiles:
    """Measure every kind of event, once for each variant; takes some seconds."""
    found = Profiles()
    with _plane() as (plane, here):
        pairs = [(f"source-{variant:02d}", f"carrier-{variant:02d}") for variant in range(VARIANTS + 1)]
        for source, carrier in pairs:
            here.join(source)
            plane.keys[carrier] = here.join(carrier)["api_key"]
            assert here.post("/templates", _template(carrier)).status == 201
        for number, (source, carrier) in enumerate(pairs):
            # The first pair fills the functions' caches: what it costs is not kept.
            kept = found if number else Profiles()
            _life_of_an_agent(plane, kept, carrier)
            kept.hops.append(list(_life_of_a_hop(plane, here, source, carrier)))
            kept.s3_hops.append(list(_life_of_an_s3_hop(plane, here, carrier)))
            _lapse(plane, here, kept, source, carrier)
        plane.clock.forward(SILENT_FOR_SURE_S)
        plane.names()
        plane.minute()
        found.add(plane.minute())
        for _, carrier in pairs[1:]:
            _silence(plane, found, carrier)
    for step in (step for hop in found.hops for step in hop):
        found.add(step)
    return found


def transfers_for_real(pairs: int, transfers: int) -> list[Step]:
    """Carry out transfers of one hop, one after the other, between pairs in turn; return every step."""
    steps: list[Step] = []
    with _plane() as (plane, here):
        names = [(f"source-{number:02d}", f"carrier-{number:02d}") for number in range(pairs)]
        for source, carrier in names:
            here.join(source)
            here.join(carrier)
        list(_life_of_a_hop(plane, here, *names[0]))
        for number in range(transfers):
            steps += _life_of_a_hop(plane, here, *names[number % pairs])
    return steps


def chained_for_real(records: int) -> Step:
    """Request transfers and chain the records of all of them at once; return what that costs."""
    with _plane() as (plane, here):
        here.join("source-00")
        here.join("carrier-00")
        plane.chain()
        for _ in range(records):
            next(_requested(plane, here, "source-00", "carrier-00", awake=False))
        (step,) = plane.chain()
    return step


def _template(carrier: str) -> dict[str, Any]:
    return {
        "name": f"to-{carrier}",
        "trigger": {"bucket": "media", "prefix": f"to-{carrier}/"},
        "destinations": [f"{carrier}:/primary/arrivals/"],
    }


def _life_of_an_agent(plane: _Plane, found: Profiles, agent: str) -> None:
    """Connect, say Hello, send heartbeats, idle and busy, and disconnect."""
    clock = plane.clock
    plane.names(agent=agent)
    for round_ in (0, 1):  # the first one warms the caches
        clock.forward(60)
        steps = [
            plane.presence(agent, "connected", 2 * round_),
            plane.report(agent, hello(at=clock(), roots=_roots(FREE))),
            plane.report(agent, _heartbeat(clock, FREE), "first heartbeat"),
        ]
        steps += _idle_beats(plane, agent)
        clock.forward(30)
        steps.append(plane.report(agent, _heartbeat(clock, FREE - 45_678, _BUSY), "busy heartbeat"))
        clock.forward(1)
        steps.append(plane.report(agent, hello(at=clock(), roots=_roots(FREE)), "hello again"))
        steps.append(plane.presence(agent, "disconnected", 2 * round_))
    for step in steps:
        found.add(step)
    clock.forward(60)
    plane.presence(agent, "connected", 9)
    plane.report(agent, hello(at=clock(), roots=_roots(FREE)))


def _idle_beats(plane: _Plane, agent: str) -> list[Step]:
    """Send heartbeats until one has moved the time at which the agent is looked at, and one has not."""
    found: dict[str, Step] = {}
    for beat in range(1, 7):
        plane.clock.forward(300)
        step = plane.report(agent, _heartbeat(plane.clock, FREE - beat * 12_345))
        moves = any(use.place.endswith("/silent") for call in step.calls for use in call.uses)
        name = "heartbeat that moves" if moves else "heartbeat"
        found[name] = replace(step, name=name)
    assert len(found) == 2
    return list(found.values())


def _life_of_a_hop(plane: _Plane, here: ControlPlane, source: str, carrier: str) -> Iterator[Step]:
    """Request a transfer of one hop and let its agents report until it is over."""
    yield from _requested(plane, here, source, carrier)
    connection = Connection(kind="direct", dialed_by=carrier, address="10.0.0.2:4460")
    started = Started(**_head(plane, 1), via=str(connection), connection=connection)
    yield from _reported(plane, here, carrier, started)
    yield from plane.chain()


def _life_of_an_s3_hop(plane: _Plane, here: ControlPlane, carrier: str) -> Iterator[Step]:
    """Let objects arrive for a template, and the agent fetch them."""
    _awake(plane, carrier)
    plane.names(carrier=carrier)
    event = {"Records": [_queued(carrier, number, plane.clock()) for number in range(EVENTS_OF_A_BATCH)]}

    def arrive() -> None:
        answer = on_object.handler(event, Context())  # type: ignore[arg-type]
        assert answer == {"batchItemFailures": []}, answer

    objects = plane.step("objects", "OnObject", arrive)
    plane.transfer_id = _newest(here)
    plane.names(transfer=plane.transfer_id, carrier=carrier)
    yield plane.generalized(objects)
    yield from plane.stream("objects")
    plane.clock.forward(1)
    yield plane.api("credentials", lambda: _issue_credentials(plane, here, carrier))
    connection = Connection(kind="s3")
    started = Started(**_head(plane, 1), via="s3", connection=connection)
    yield from _reported(plane, here, carrier, started)
    yield from plane.chain()


def _requested(
    plane: _Plane, here: ControlPlane, source: str, carrier: str, *, awake: bool = True
) -> Iterator[Step]:
    if awake:
        _awake(plane, source, carrier)
    body = {"source": f"{source}:/data/videos/", "destinations": [f"{carrier}:/primary/videos/"]}
    key = {"Idempotency-Key": f"request of {plane.clock().timestamp()}"}

    def request() -> None:
        answer = here.post("/transfers", body, headers=key)
        assert answer.status == 202, answer.text
        plane.transfer_id = answer.body["transfer_id"]

    plane.names(source=source, carrier=carrier)
    requested = plane.api("request", request)
    plane.names(transfer=plane.transfer_id, source=source, carrier=carrier)
    yield plane.generalized(requested)
    yield from plane.stream("request")


def _reported(plane: _Plane, here: ControlPlane, carrier: str, started: Started) -> Iterator[Step]:
    progress = Progress(bytes_done=10**9, bytes_total=10**11, files_done=10, files_total=1000)
    plane.clock.forward(1)
    yield plane.report(carrier, started)
    yield from plane.stream("started")
    for seq, (kind, more) in enumerate(
        ((Checkpoint, {}), (Verifying, {}), (Succeeded, {"digest": "d" * 32, "seconds": 60.0})), 2
    ):
        plane.clock.forward(10)
        report = kind(**_head(plane, seq), progress=progress, **more)
        yield plane.report(carrier, report)
        yield from plane.stream(report.kind)
    shown = here.get(f"/transfers/{plane.transfer_id}").body
    assert shown["state"] == "succeeded", shown


def _lapse(plane: _Plane, here: ControlPlane, found: Profiles, source: str, carrier: str) -> None:
    """Let an agent say Hello with a hop at work, and be silent about it until its lease lapses."""
    list(_requested(plane, here, source, carrier))
    plane.chain()
    plane.report(carrier, Started(**_head(plane, 1), via="s3", connection=Connection(kind="s3")))
    list(plane.stream("started"))
    at_work = AgentHop(
        transfer_id=plane.transfer_id,
        hop_id=f"{plane.transfer_id}-0",
        attempt=1,
        state="running",
    )
    found.add(
        plane.report(
            carrier, hello(at=plane.clock(), roots=_roots(FREE), hops=(at_work,)), "hello with a hop"
        )
    )
    plane.clock.forward(70)
    _awake(plane, source, carrier)
    number = (plane.transfer_id, 0)
    found.add(plane.step("lapsed", "OnSchedule", lambda: wiring.lease_sweeper().check(*number)))
    for step in plane.stream("lapsed"):
        found.add(step)
    assert here.post(f"/transfers/{plane.transfer_id}/cancel").status in {200, 202}
    list(plane.stream("cancel"))
    plane.chain()


def _silence(plane: _Plane, found: Profiles, agent: str) -> None:
    """Let one agent go silent while no other does."""
    plane.names(agent=agent)
    _awake(plane, agent)
    plane.clock.forward(SILENT_FOR_SURE_S)
    publish = adapters.event_bus().publish
    step = plane.step("silent", "OnSchedule", lambda: wiring.agent_service().mark_silent_agents(publish))
    # One query finds all of them, which the step of the minute has.
    found.add(replace(step, calls=tuple(call for call in step.calls if call.operation != "Query")))


def _awake(plane: _Plane, *agents: str) -> None:
    for agent in agents:
        plane.report(agent, _heartbeat(plane.clock, FREE))
    list(plane.stream("before"))
    plane.chain()


def _head(plane: _Plane, seq: int) -> dict[str, Any]:
    return {
        "transfer_id": plane.transfer_id,
        "hop_id": f"{plane.transfer_id}-0",
        "attempt": 1,
        "seq": seq,
        "at": plane.clock(),
    }


def _newest(here: ControlPlane) -> str:
    return str(here.get("/transfers", limit="1").body["transfers"][0]["transfer_id"])


def _issue_credentials(plane: _Plane, here: ControlPlane, carrier: str) -> None:
    key, body = {"X-Agent-Key": plane.keys[carrier]}, {"hop_id": f"{plane.transfer_id}-0"}
    answer = here.post(f"/agents/{carrier}/credentials", body, role=None, headers=key)
    assert answer.status == 200, answer.text


def _queued(carrier: str, number: int, now: datetime) -> dict[str, Any]:
    """Return a message of the queue of uploads."""
    written = {
        "key": f"to-{carrier}/{now:%H%M%S%f}/{number:04d}.mov",
        "size": 10**8,
        "sequencer": f"{number:016X}",
    }
    body = {"id": str(number), "detail": {"bucket": {"name": "media"}, "object": written}}
    return {
        "messageId": str(number),
        "receiptHandle": "r",
        "body": json.dumps(body),
        "attributes": {},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:q",
        "awsRegion": "eu-central-1",
    }
