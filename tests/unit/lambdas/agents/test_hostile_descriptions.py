"""An agent that describes itself at great length is listed, and so are all others."""

import json
from dataclasses import replace

import pytest

from events.reports import MAX_REMOTES, MAX_ROOTS, Capabilities, RemoteState, RootState
from lambdas import adapters, on_report, wiring
from lambdas.domain import agent_summary
from lambdas.domain.agent import with_heartbeat, with_hello
from lambdas.domain.agent_summary import MAX_CHARS, MAX_WARNINGS
from lambdas.store.agent_rows import rows_of
from tests.support.agent_table import write_agents
from tests.support.fakes import MORNING, an_agent

MESSAGE_BYTES = 128 * 1024
"""What AWS IoT Core takes in one message."""
ITEM_BYTES = 400_000
"""What DynamoDB takes in one item, and a little less."""
ANSWER_BYTES = 6 * 1024 * 1024
"""What Lambda returns."""
ROOT = {"path": "/", "access": "ro"}
HELLO = {
    "kind": "hello",
    "at": MORNING.isoformat(),
    "version": "1",
    "hostname": "h",
    "capabilities": {},
    "endpoints": [],
    "lane_certificate": "PEM",
    "roots": [],
}


def received(report):
    """Return the report as the function reads it from the broker, or None if it is dropped."""
    assert len(json.dumps(report)) <= MESSAGE_BYTES
    event = {"thing": adapters.topics().thing("server-b"), "report": report}
    message = on_report.read(event)
    return message and message.report


@pytest.mark.parametrize(
    "grown",
    [
        {"roots": [ROOT] * (MAX_ROOTS + 1)},
        {"capabilities": {"remotes": [{"name": "r", "access": "ro"}] * (MAX_REMOTES + 1)}},
        {"capabilities": {"movers": ["lane"] * 17}},
        {"version": "1" * 65},
    ],
    ids=["roots", "remotes", "movers", "version"],
)
def test_what_no_host_has_is_dropped(here, grown):
    assert received(HELLO) is not None
    assert received({**HELLO, **grown}) is None


def test_the_largest_messages_fit_into_a_row(here):
    """Each list is as long as may be, and of entries that grow when they are stored; texts fill the rest."""
    text = "\u00e4" * 9_000  # six bytes each in the message
    hello = received({**HELLO, "hostname": text, "ip_address": text, "roots": [ROOT] * MAX_ROOTS})
    problem = {"code": "x", "message": "\x01" * 1_000}
    beat = received(
        {"kind": "heartbeat", "at": HELLO["at"], "roots": [ROOT] * MAX_ROOTS, "problems": [problem] * 16}
    )
    agent = with_heartbeat(with_hello(an_agent("server-b"), hello, MORNING, MORNING), beat, MORNING, MORNING)
    for row in rows_of(agent, "hash"):
        assert len(json.dumps(row.to_dynamodb_dict(), ensure_ascii=False).encode()) < ITEM_BYTES


def test_a_page_of_agents_that_say_much_can_be_answered_and_none_is_left_out(here):
    names = [f"server-{number:02}" for number in range(40)]
    write_agents(replace(an_agent(name), hostname='"' * 100_000) for name in names)
    listed, after, pages = [], None, 0
    while pages == 0 or after:
        page = wiring.agent_service().list_agents(500, after)
        assert len(json.dumps({"body": page.model_dump_json()})) < ANSWER_BYTES
        listed += [agent.agent_id for agent in page.agents]
        after, pages = page.next, pages + 1
    assert listed == names
    assert 1 < pages < len(names)


def test_an_agent_that_says_much_is_as_short_as_others_in_the_console_s_list(here):
    """Each text of its own is cut; the row that the index repeats stays small, whatever a host reports."""
    text = "\x01" * 5_000
    remotes = tuple(RemoteState(name=f"r{number}", access="rw", type=text[:300]) for number in range(64))
    loud = {
        "hostname": text,
        "ip_address": text,
        "version": text,
        "roots": tuple(RootState(path=f"/{number}{'x' * 4000}", access="rw") for number in range(20)),
        "capabilities": Capabilities(remotes=remotes),
    }
    names = [f"server-{number:03}" for number in range(200)]
    write_agents(an_agent(name) if name[-1] != "7" else an_agent(name, **loud) for name in names)
    answer = here.get("/fleet", limit="200")
    assert [agent["agent_id"] for agent in answer.body["agents"]] == names
    assert len(json.dumps(answer.text)) < ANSWER_BYTES
    assert max(len(json.dumps(agent)) for agent in answer.body["agents"]) < 40_000
    shown = answer.body["agents"][7]
    own = [shown["hostname"], shown["ip_address"], shown["version"]]
    own += [remote["type"] for remote in shown["remotes"]] + [one["path"] for one in shown["warnings"]]
    assert {len(one.replace("\\x01", "\x01")) for one in own} == {MAX_CHARS}
    assert (len(shown["remotes"]), len(shown["warnings"])) == (agent_summary.MAX_REMOTES, MAX_WARNINGS)
