"""Stages of an update: which agents each has, and that none begins before earlier ones are healthy."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from events.base import Problem
from lambdas.domain.update import (
    ENDED,
    FAILED,
    MAX_DURATION,
    MAX_STAGE_SIZE,
    JobStatus,
    Member,
    Update,
    begun,
    ended,
    following,
    how_it_ended,
    staged,
    why_not,
    with_statuses,
)
from tests.support.fakes import ADA, MORNING

LONG = Problem(
    code="update-failed", message="long " * 200, advice="long " * 40, parameters={"detail": "long " * 99}
)

NAMES = st.integers(1, 260).map(lambda count: [f"a{number:03d}" for number in range(count)])
PERCENTS = st.lists(st.integers(1, 100), unique=True, max_size=4).map(sorted)
STATUSES = ("QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED")
NOBODY: frozenset[str] = frozenset()


def an_update(names, canaries=1, percents=(10,), abort_above=20):
    stages = staged(names, canaries, percents)
    members = tuple(Member(agent_id=name, stage=stages[name], before="0.1.0") for name in names)
    made = Update(
        update_id="5f0c9a31be42",
        version="0.2.0",
        script="https://d1/install.sh",
        digest="9c" * 32,
        release="signed.0.2.0.release",
        members=members,
        abort_above=abort_above,
        healthy_within=300,
        created_by=ADA,
        created_at=MORNING,
    )
    return begun(made, 0)


@given(NAMES, st.integers(1, 100), PERCENTS)
def test_every_agent_is_in_one_stage_and_no_stage_is_empty_or_too_large_for_a_job(names, canaries, percents):
    stages = staged(names, canaries, percents)
    assert list(stages) == names
    assert list(stages.values()) == sorted(stages.values())
    sizes = [list(stages.values()).count(number) for number in range(max(stages.values()) + 1)]
    assert all(1 <= size <= MAX_STAGE_SIZE for size in sizes)
    assert sizes[0] == min(canaries, len(names), MAX_STAGE_SIZE)


def test_stages_are_as_an_administrator_would_count_them():
    def sizes(count, canaries, *percents):
        stages = list(staged([f"a{number:03d}" for number in range(count)], canaries, percents).values())
        return [stages.count(number) for number in range(max(stages) + 1)]

    assert sizes(50, 1, 10, 50) == [1, 4, 20, 25]
    assert sizes(3, 1, 10) == [1, 2]
    assert sizes(1, 1, 10) == [1]
    assert sizes(250, 2, 10) == [2, 23, 100, 100, 25]


def step(update, statuses, away, now):
    """Run one sweep."""
    known = [member for member in update.members if member.state != "waiting"]
    words = {member.agent_id: JobStatus(statuses(member)) for member in known}
    versions = {
        member.agent_id: update.version if words.get(member.agent_id) == JobStatus("SUCCEEDED") else "0.1.0"
        for member in update.members
    }
    seen = with_statuses(update, words, versions)
    match following(seen, away, now):
        case "stage":
            return begun(seen, seen.stage + 1)
        case "abort":
            return ended(seen, "aborted", LONG, None, now)
        case "end":
            return ended(seen, *how_it_ended(seen), None, now)
        case "expire":
            return ended(seen, "failed", LONG, None, now)
    return seen


@given(NAMES, st.integers(1, 5), PERCENTS, st.integers(0, 99), st.data())
def test_no_further_agent_is_touched_before_those_before_it_are_healthy_or_after_too_many_were_not(
    names, canaries, percents, abort_above, data
):
    update, now = an_update(names[:40], canaries, percents, abort_above), MORNING
    fates = {name: data.draw(st.sampled_from(STATUSES), label=name) for name in names[: min(len(names), 40)]}
    away = frozenset(name for name in fates if data.draw(st.booleans(), label=f"{name} away"))
    for _ in range(update.stages + 2):
        before = update
        if update.state != "running":
            break
        now += timedelta(minutes=1)
        update = step(update, lambda member: fates[member.agent_id], away, now)
        assert update.stage - before.stage <= 1
        for member in update.members:
            assert (member.state == "waiting") <= (member.stage > update.stage)
        for stage in range(update.stage):
            earlier = update.of_stage(stage)
            failed = sum(member.state in FAILED for member in earlier)
            assert failed * 100 <= abort_above * len(earlier)
            assert all(
                member.state in ENDED or (stage and member.state == "queued" and member.agent_id in away)
                for member in earlier
            )
        for old, new in zip(before.members, update.members, strict=True):
            assert old.state not in ENDED or old == new, "what has ended does not change"
    if update.state == "running":
        late = step(update, lambda member: "QUEUED", away, MORNING + MAX_DURATION + timedelta(minutes=1))
        assert late.state != "running", "none goes on for ever"
    if update.state == "aborted":
        assert all(member.state != "waiting" for member in update.members)


def test_the_word_of_a_job_alone_makes_no_success():
    update = an_update(["a", "b"])
    old = with_statuses(update, {"a": JobStatus("SUCCEEDED")}, {"a": "0.1.0", "b": "0.1.0"})
    assert old.member("a").state == "in_progress"
    assert following(old, NOBODY, MORNING) == "wait"
    new = with_statuses(update, {"a": JobStatus("SUCCEEDED")}, {"a": "0.2.0", "b": "0.1.0"})
    assert following(new, NOBODY, MORNING) == "stage"


def test_a_thousand_agents_with_long_reasons_fit_into_a_row():
    names = [f"a{number:03d}-{'x' * 58}" for number in range(1000)]
    whole = with_statuses(an_update(names), {}, dict.fromkeys(names, "0.1.0"))
    for stage in range(whole.stages):
        words = {one.agent_id: JobStatus("FAILED", LONG) for one in whole.of_stage(stage)}
        whole = with_statuses(begun(whole, stage), words, dict.fromkeys(names, "0.1.0"))
    assert len(TypeAdapter(Update).dump_json(whole)) < 400_000


def test_a_removed_agent_keeps_nobody_waiting():
    update = with_statuses(an_update(["a", "b"]), {}, {"b": "0.1.0"})
    assert update.member("a").state == "cancelled"


def test_offline_agents_are_not_waited_for_but_canaries_must_report():
    update = an_update(["a", "b", "c"], 1, (50,))
    away = frozenset("ab")
    assert following(update, away, MORNING) == "wait"
    first = with_statuses(update, {"a": JobStatus("SUCCEEDED")}, dict.fromkeys("abc", "0.2.0"))
    second = begun(first, 1)
    assert following(second, away, MORNING) == "stage"
    assert following(second, NOBODY, MORNING) == "wait"


def test_an_agent_gets_an_update_order_only_in_its_stage_and_while_the_update_runs():
    update = an_update(["a", "b"])
    assert why_not(update, "a") is None
    assert why_not(update, "b").wording == why_not(update, "z").wording == "update-not-due"
    stopped = why_not(ended(update, "aborted", LONG, None, MORNING), "a")
    assert (stopped.wording, stopped.parameters["state"]) == ("update-stopped", "aborted")
