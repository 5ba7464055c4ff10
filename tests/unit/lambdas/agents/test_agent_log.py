"""An operator without access to a host reads the log of its agent, if a policy permits; it is audited."""

import logging
from typing import Any

import pytest

from agent.logs import LogMemory
from events.commands import Command, ReadLog
from events.reports import Browsed
from lambdas import adapters, on_report, wiring
from lambdas.agents.inquiry import Inquiry
from lambdas.agents.log_reader import LogReader
from tests.support.control_plane import Context, ControlPlane

LOG = "/agents/server-b/log"


@pytest.fixture
def fleet(here: ControlPlane) -> ControlPlane:
    """An agent that is there and answers as agents do, through the broker's rule."""
    memory = LogMemory()
    for number in range(30):
        memory.handle(logging.makeLogRecord({"msg": f"fact {number}", "levelname": "INFO"}))

    def answer(agent_id: str, command: Command) -> None:
        if isinstance(command, ReadLog):
            report = memory.excerpt(command).model_dump(mode="json")
            event = {"thing": adapters.topics().thing(agent_id), "report": report}
            on_report.handler(event, Context())  # type: ignore[arg-type]

    here.fleet.on_command = answer
    here.join("server-b")
    return here


def reads(fleet: ControlPlane) -> list[Any]:
    records = fleet.get("/audit").body["records"]
    return [record for record in records if record["action"] == "agent.log-read"]


def test_an_administrator_reads_the_latest_lines_and_the_audit_says_so(fleet: ControlPlane) -> None:
    view = fleet.post(LOG, {"lines": 2}).body
    assert [line.split("msg=")[1] for line in view["lines"]] == ['"fact 28"', '"fact 29"']
    assert view["omitted"] == 0, "no more were asked for"
    assert view["remembered_since"] is not None
    [record] = reads(fleet)
    assert (record["who"]["name"], record["about"]) == ("ana@example.org", "agent server-b")
    assert (record["agents"], record["policies"]) == (["server-b"], ["admin"])
    assert record["after"]["lines"] == 2


def test_others_read_it_only_if_a_policy_says_so(fleet: ControlPlane) -> None:
    for role in ("viewer", "operator"):
        refused = fleet.post(LOG, {}, role=role, who="ben@example.org")
        assert refused.status == 403
        assert "read the log of" in refused.body["detail"]
    assert fleet.fleet.sent == [], "the agent is not asked"
    permit = """permit (principal in Group::"operator", action == Action::"read_log", resource)
        when { resource.name like "server-*" };"""
    fleet.call("PUT", "/policies/logs", {"text": permit, "why": "they are on call"})
    assert len(fleet.post(LOG, {}, role="operator", who="ben@example.org").body["lines"]) == 30
    assert {record["decision"] for record in reads(fleet)} == {"allowed"}
    fleet.join("web-1")
    assert fleet.post("/agents/web-1/log", {}, role="operator", who="ben@example.org").status == 403


def test_an_agent_that_is_away_or_unknown_is_not_asked(fleet: ControlPlane) -> None:
    fleet.join("server-c", online=False)
    assert fleet.post("/agents/server-c/log", {}).status == 409
    assert fleet.post("/agents/server-x/log", {}).status == 404
    assert fleet.fleet.sent == []


@pytest.mark.parametrize(
    "body", [{"lines": 0}, {"lines": 1001}, {"since": "yesterday"}, {"path": "/etc/passwd"}]
)
def test_a_request_is_bounded_and_names_no_file(fleet: ControlPlane, body: dict[str, Any]) -> None:
    assert fleet.post(LOG, body).status in {400, 422}
    assert reads(fleet) == []


def test_an_answer_to_another_question_is_not_taken_for_the_log(
    fleet: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(agent_id: str, command: Command) -> None:
        if isinstance(command, ReadLog):
            wiring.agent_service().answered(agent_id, Browsed(request_id=command.request_id))

    fleet.fleet.on_command = answer
    ticks = iter(range(1000))
    inquiry = Inquiry(
        adapters.agent_store(),
        adapters.command_publisher(),
        adapters.reply_store(),
        lambda _: None,
        lambda: float(next(ticks)),
    )
    reader = LogReader(inquiry)
    monkeypatch.setattr(wiring, "log_reader", lambda: reader)
    assert fleet.post(LOG, {}).status == 504
