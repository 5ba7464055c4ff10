"""Templates that gather: objects that trickle travel together, each once, whatever happens meanwhile."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from lambdas import adapters, wiring
from lambdas.aws.delay_queue import GatherQueue
from lambdas.domain import prices
from lambdas.domain.object_batch import GatheringDue
from lambdas.templates.gatherer import COLLECT_BATCH_SIZE, MAX_CALLS, MAX_WORK
from tests.support.dynamodb_units import units_counted
from tests.unit.lambdas.templates.test_api_templates import VIDEOS, arrive, created

GATHER_S = 300
GATHERING = {**VIDEOS, "trigger": {**VIDEOS["trigger"], "gather_seconds": GATHER_S}}
A_TRANSFER = 211e-6
"""Dollars for a transfer of one object from request to end, as measured before templates gathered."""
A_FUNCTION = 0.05 * 0.5
"""Gigabyte-seconds of one call: 50 ms at 512 MB, an upper bound."""
SQS_REQUEST = 0.40e-6


@dataclass
class Queue:
    """The delayed messages of the queue of uploads."""

    clock: object
    delayed: list[tuple[datetime, str]] = field(default_factory=list)
    sent: int = 0
    broken: bool = False

    def send_message(self, QueueUrl: str, MessageBody: str, DelaySeconds: int) -> None:  # noqa: N803
        if self.broken:
            raise ConnectionError("SQS is away")
        self.sent += 1
        self.delayed.append((self.clock() + timedelta(seconds=DelaySeconds), MessageBody))

    def deliver(self) -> int:
        """Deliver what is due; what fails stays. Return how many messages there were."""
        due = [one for one in self.delayed if one[0] <= self.clock()]
        if due:
            self.delayed = [one for one in self.delayed if one not in due]
            failed = {f"m{number}" for number in range(len(due))} & set(arrive(*(body for _, body in due)))
            self.delayed += [one for number, one in enumerate(due) if f"m{number}" in failed]
        return len(due)


@pytest.fixture
def queue(clock, monkeypatch):
    made = Queue(clock)
    monkeypatch.setattr(adapters, "gather_queue", lambda: GatherQueue(lambda: made, "uploads", clock))
    return made


@pytest.fixture
def saved(queue, here):
    for name in ("server-b", "server-d"):
        here.join(name)
    assert here.post("/templates", GATHERING).status == 201
    return here


@pytest.fixture
def pass_time(clock, queue):
    def passing(seconds: float) -> None:
        clock.now += timedelta(seconds=seconds)
        queue.deliver()

    return passing


def selections(here) -> list[list[str]]:
    """Return the keys of each transfer, the oldest transfer first."""
    ids = [one["transfer_id"] for one in here.get("/transfers", limit="100").body["transfers"]]
    return [sorted(adapters.transfer_store().get(one).selection) for one in reversed(ids)]


def refusals(here) -> list[str]:
    return [one["why"] for one in here.get("/audit").body["records"] if one["decision"] == "refused"]


def change(here, **fields) -> None:
    assert here.call("PUT", "/templates/new-videos", {**GATHERING, **fields}).status == 200


def test_a_card_that_is_uploaded_within_the_time_is_one_transfer(saved, pass_time):
    for number in range(20):
        assert arrive(created(f"new-videos/{number:02}.mov")) == []
        pass_time(10)
    assert selections(saved) == []
    pass_time(100)
    assert selections(saved) == [[f"{number:02}.mov" for number in range(20)]]


def test_the_first_object_after_a_gathering_opens_the_next(saved, pass_time):
    arrive(created("new-videos/a"))
    pass_time(GATHER_S)
    pass_time(1000)
    arrive(created("new-videos/b"))
    pass_time(GATHER_S - 1)
    assert selections(saved) == [["a"]]
    pass_time(1)
    assert selections(saved) == [["a"], ["b"]]


def test_an_event_that_comes_twice_or_late_starts_nothing_twice(saved, pass_time):
    arrive(created("new-videos/b"), created("new-videos/a"))
    arrive(created("new-videos/a"))
    pass_time(GATHER_S)
    arrive(created("new-videos/a"), created("new-videos/c"))
    pass_time(GATHER_S)
    arrive(created("new-videos/a"))
    pass_time(GATHER_S)
    assert selections(saved) == [["a", "b"], ["c"]]
    assert adapters.gathered_store().some("new-videos", 10) == []


def test_a_key_that_is_written_again_while_it_waits_travels_once(saved, pass_time):
    arrive(created("new-videos/a", "1"))
    arrive(created("new-videos/a", "2"))
    pass_time(GATHER_S)
    assert selections(saved) == [["a"]]


def test_a_template_that_gathers_holds_up_no_other(saved, pass_time):
    prompt = {**VIDEOS, "name": "prompt", "destinations": ["server-b:/primary/prompt/"], "shape": "fan_out"}
    assert saved.post("/templates", prompt).status == 201
    arrive(created("new-videos/a"))
    assert selections(saved) == [["a"]]
    pass_time(GATHER_S)
    assert selections(saved) == [["a"], ["a"]]


def test_objects_that_fill_a_transfer_do_not_wait(saved, pass_time):
    assert arrive(*[created(f"new-videos/{number:03}") for number in range(100)]) == []
    assert [len(one) for one in selections(saved)] == [80]
    pass_time(GATHER_S)
    assert [len(one) for one in selections(saved)] == [80, 20]


def test_a_change_while_objects_are_gathered_holds_for_them(saved, pass_time):
    arrive(created("new-videos/a"))
    change(saved, destinations=["server-d:/backup/else/"], shape="fan_out")
    pass_time(GATHER_S)
    [one] = saved.get("/transfers").body["transfers"]
    assert one["destinations"][0]["path"] == "/backup/else/"
    change(saved, trigger=VIDEOS["trigger"])
    arrive(created("new-videos/b"))
    assert sorted(selections(saved)) == [["a"], ["b"]], "it no longer gathers"


@pytest.mark.parametrize("how", ["disabled", "removed", "changed"])
def test_objects_that_the_template_no_longer_wants_are_named_in_the_audit(saved, pass_time, how):
    arrive(*[created(f"new-videos/{name}") for name in "abcde"])
    match how:
        case "disabled":
            change(saved, enabled=False)
        case "removed":
            assert saved.call("DELETE", "/templates/new-videos").status == 204
        case "changed":
            change(saved, trigger={**GATHERING["trigger"], "prefix": "others/"})
    pass_time(GATHER_S)
    assert selections(saved) == []
    [why] = refusals(saved)
    assert "s3://media/new-videos/a" in why
    assert "and 2 more" in why
    assert adapters.gathered_store().some("new-videos", 10) == []


def test_the_log_names_every_object_that_is_left(saved, pass_time, caplog):
    """Somebody who changed the wrong template finds out what to transfer by hand."""
    arrive(*[created(f"new-videos/{number:03}") for number in range(70)])
    change(saved, trigger={**GATHERING["trigger"], "prefix": "others/"})
    pass_time(GATHER_S)
    lines = [record.objects for record in caplog.records if record.message == "gathered objects left"]
    assert sorted(name for line in lines for name in line) == [
        f"s3://media/new-videos/{number:03}" for number in range(70)
    ]
    assert max(map(len, lines)) <= 50, "CloudWatch cuts longer lines"


def test_objects_matched_just_before_a_change_follow_the_changed_template(here, clock, monkeypatch):
    """The index may lag: such objects used to be dropped without a word."""
    here.join("server-b")
    assert here.post("/templates", VIDEOS).status == 201
    store = adapters.template_store()
    before = store.of_bucket("media")
    assert here.call("PUT", "/templates/new-videos", {**VIDEOS, "description": "changed"}).status == 200
    monkeypatch.setattr(store, "of_bucket", lambda _: before)
    assert arrive(created("new-videos/a")) == []
    assert selections(here) == [["a"]]


def test_an_object_kept_just_after_the_collection_is_not_forgotten(saved, queue, pass_time, monkeypatch):
    """Its function had read that a collection was to come, and was then slow."""
    arrive(created("new-videos/a"))
    store = adapters.gathered_store()
    add = store.add

    def slowly(template_id, objects):
        pass_time(GATHER_S)  # the collection runs here
        add(template_id, objects)

    with monkeypatch.context() as patch:
        patch.setattr(store, "add", slowly)
        arrive(created("new-videos/b"))
    assert selections(saved) == [["a"]]
    assert queue.delayed, "nobody else would come for it"
    pass_time(10)
    assert selections(saved) == [["a"], ["b"]]


@pytest.mark.parametrize("step", ["timer", "open", "add"])
def test_a_function_that_ends_at_any_step_is_repeated_and_loses_nothing(
    saved, queue, pass_time, monkeypatch, step
):
    def fails(*_):
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        if step == "timer":
            patch.setattr(queue, "broken", True)
        else:
            patch.setattr(adapters.gathered_store(), step, fails)
        assert arrive(created("new-videos/a")) == ["m0"]
    assert arrive(created("new-videos/a")) == []
    pass_time(GATHER_S)
    pass_time(GATHER_S)
    assert selections(saved) == [["a"]]


@pytest.mark.parametrize("step", ["create_from_template", "remove"])
def test_a_collection_that_fails_half_way_is_repeated(saved, queue, pass_time, monkeypatch, step):
    arrive(*[created(f"new-videos/{number:03}") for number in range(60)])
    arrive(*[created(f"new-videos/{number:03}") for number in range(60, 100)])
    whole = wiring.transfer_service() if step == "create_from_template" else adapters.gathered_store()
    really, calls = getattr(whole, step), []

    def fails_at_times(*given):
        calls.append(given)
        if len(calls) == (2 if step == "create_from_template" else 1):
            raise ConnectionError("gone")
        return really(*given)

    monkeypatch.setattr(whole, step, fails_at_times)
    pass_time(GATHER_S)
    assert queue.delayed, "SQS delivers the message again"
    pass_time(360)
    assert sorted(key for one in selections(saved) for key in one) == [
        f"{number:03}" for number in range(100)
    ]
    assert adapters.gathered_store().some("new-videos", 10) == []


def test_a_throttled_function_collects_late_what_has_come_meanwhile_as_well(saved, clock, queue, pass_time):
    arrive(created("new-videos/a"))
    clock.now += timedelta(seconds=GATHER_S + 60)  # nothing is delivered
    arrive(created("new-videos/b"))
    pass_time(0)
    assert selections(saved) == [["a", "b"]]
    pass_time(GATHER_S)
    assert queue.delayed == []
    assert selections(saved) == [["a", "b"]]


def test_a_burst_is_collected_by_as_many_messages_as_it_takes(saved, clock, queue, pass_time, monkeypatch):
    monkeypatch.setattr(wiring.gatherer(), "_at_once", 10)
    for start in range(0, 60, 20):
        arrive(*[created(f"new-videos/{number:03}") for number in range(start, start + 20)])
    starter = wiring.transfer_starter()
    start_some = starter.start

    def slow(template_id, objects):
        clock.now += MAX_WORK / 2
        return start_some(template_id, objects)

    monkeypatch.setattr(starter, "start", slow)
    pass_time(GATHER_S)
    assert len(selections(saved)) == 2, "its time was over"
    rounds = 0
    while queue.deliver():
        rounds += 1
    assert rounds == 2
    assert sum(map(len, selections(saved))) == 60
    assert COLLECT_BATCH_SIZE % 80 == 0, "so that transfers of a burst are full"


@pytest.mark.parametrize("before", [17, MAX_CALLS - 1, MAX_CALLS])
def test_a_gathering_goes_on_beyond_sixteen_calls_and_not_for_ever(saved, clock, queue, monkeypatch, before):
    """A row that cannot be removed would have the function call itself for as long as there is an account."""
    arrive(created("new-videos/a"), created("new-videos/b"))
    queue.delayed.clear()
    body = GatheringDue(gathered_for="new-videos", calls=before).model_dump_json()
    starter = wiring.transfer_starter()
    start_some = starter.start

    def slow(template_id, objects):
        clock.now += MAX_WORK
        return start_some(template_id, objects)

    with monkeypatch.context() as patch:
        patch.setattr(adapters.gathered_store(), "remove", lambda *_: None)
        patch.setattr(starter, "start", slow)
        failed = arrive(body)
    if before < MAX_CALLS:
        assert failed == []
        [(_, onward)] = queue.delayed
        assert GatheringDue.model_validate_json(onward).calls == before + 1
    else:
        assert failed == ["m0"], "after five attempts it is a dead letter, with its alarm"
        assert queue.delayed == []
    assert arrive(GatheringDue(gathered_for="new-videos").model_dump_json()) == []
    assert selections(saved) == [["a", "b"]], "nothing was lost"


def test_gatherings_of_many_templates_that_are_due_together_share_the_time_of_one_call(
    saved, clock, queue, pass_time, monkeypatch
):
    """SQS delivers up to a hundred messages at once, and Lambda ends the function after a minute."""
    names = ["new-videos", *(f"copy-{number}" for number in range(5))]
    for name in names[1:]:
        copy = {**GATHERING, "name": name, "destinations": [f"server-b:/primary/{name}/"], "shape": "fan_out"}
        assert saved.post("/templates", copy).status == 201
    arrive(created("new-videos/a"))
    starter, calls = wiring.transfer_starter(), list[int]()
    start_some = starter.start

    def slow(template_id, objects):
        calls[-1] += 1
        clock.now += MAX_WORK / 2
        return start_some(template_id, objects)

    monkeypatch.setattr(starter, "start", slow)
    clock.now += timedelta(seconds=GATHER_S)
    while queue.delayed:
        calls.append(0)
        queue.deliver()
    assert calls == [2, 2, 2], "all in one call would take too long"
    assert selections(saved) == [["a"]] * len(names)


def test_a_spare_message_does_nothing(saved):
    body = GatheringDue(gathered_for="new-videos").model_dump_json()
    assert arrive(body, body, GatheringDue(gathered_for="unknown").model_dump_json()) == []
    assert selections(saved) == []
    assert refusals(saved) == []


@pytest.mark.parametrize("seconds", [-1, 301, 1.5, "soon"])
def test_a_time_out_of_bounds_is_refused(here, seconds):
    trigger = {**VIDEOS["trigger"], "gather_seconds": seconds}
    assert here.post("/templates", {**VIDEOS, "trigger": trigger}).status == 422


@pytest.mark.parametrize("windows", [1, 2])
def test_a_million_objects_that_trickle_cost_less_than_ten_dollars(saved, queue, pass_time, windows):
    """One every four seconds. It was $211 a million, a transfer for each."""
    objects = 75 * windows
    with units_counted() as used:
        for number in range(objects):
            arrive(created(f"new-videos/{number:04}"))
            pass_time(4)
        pass_time(GATHER_S)
    transfers = selections(saved)
    assert len(transfers) == windows
    assert sum(map(len, transfers)) == objects
    functions = objects + queue.sent
    dollars = (
        3 * functions * SQS_REQUEST  # each message is sent, received and deleted
        + functions * (prices.INVOCATION + A_FUNCTION * prices.GIGABYTE_SECOND)
        + used["write"] * prices.WRITE
        + used["read"] * prices.READ
        + len(transfers) * A_TRANSFER
    )
    assert dollars / objects * 1e6 <= 10, dict(used)
    assert used["write"] <= 5 * objects
    assert used["read"] <= 4 * objects
