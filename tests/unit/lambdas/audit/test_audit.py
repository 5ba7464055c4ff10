"""Every change and refusal is recorded and chained, and a missing record is detected."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from pynamodb.exceptions import PynamoDBException

from agent.cli.proof import Audit, verified
from events.audit import AuditLink, AuditRecord, AuditSealsView
from events.base import Actor, Problem
from lambdas import adapters, on_audit, wiring
from lambdas.api.routing import _is_refusal
from lambdas.audit import refusals
from lambdas.audit.chain import AuditSealer
from lambdas.audit.recorder import AuditEvent, new_record_id
from lambdas.audit.refusals import RefusalSummary
from lambdas.domain.authorization import Principal
from lambdas.domain.errors import AgentDeclinedError
from tests.support.control_plane import REGION, Context
from tests.support.fakes import as_shown
from tests.support.fakes_api import sample
from tests.support.moto_shortcuts import one_call_at_a_time
from tests.support.world import items_written
from tests.unit.lambdas.policies.test_policies import NO_LAB, RAW, put
from tests.unit.lambdas.templates.test_api_templates import VIDEOS

TODAY = datetime.now(UTC)
TABLE = "audit-table"


@pytest.fixture
def fleet(here):
    here.join("server-b")
    here.join("server-c")
    return here


def records(here, **query):
    return here.get("/audit", **query).body["records"]


def stored():
    pages = boto3.client("dynamodb", REGION).get_paginator("scan").paginate(TableName=TABLE)
    return [row for page in pages for row in page["Items"]]


def stream(here=None, name="INSERT"):
    """Return stream events of all records in the table."""
    rows = sorted((row for row in stored() if "record" in row), key=lambda row: row["part"]["S"])
    events = [
        {
            "eventName": name,
            "eventSource": "aws:dynamodb",
            "dynamodb": {"Keys": {"day": row["day"], "part": row["part"]}, "NewImage": row},
        }
        for row in rows
    ]
    on_audit.handler({"Records": events}, Context())  # type: ignore[arg-type]


class TestRecording:
    def test_a_change_is_written_with_who_what_from_where_and_why_it_was_allowed(self, fleet):
        transfer = fleet.post("/transfers", RAW, role="operator", who="bo@example.org").body["transfer_id"]
        [record] = records(fleet, transfer_id=transfer)
        assert (record["who"], record["address"]) == (as_shown("bo@example.org"), "198.51.100.7")
        assert (record["action"], record["decision"]) == ("transfer.requested", "allowed")
        assert (record["policies"], record["agents"]) == (["operator"], ["server-b", "server-c"])
        assert record["before"] is None
        assert record["after"]["source"]["path"] == "/data/raw/"
        fleet.post(f"/transfers/{transfer}/cancel", role="operator", who="cy@example.org")
        cancel = records(fleet, transfer_id=transfer)[0]
        assert (cancel["who"]["name"], cancel["action"]) == ("cy@example.org", "transfer.cancel")
        assert (cancel["before"]["state"], cancel["after"]["state"]) == ("queued", "cancelled")

    def test_every_kind_of_change_is_there(self, fleet):
        transfer = fleet.post("/transfers", RAW).body["transfer_id"]
        for verb in ("pause", "resume", "cancel", "retry"):
            fleet.post(f"/transfers/{transfer}/{verb}")
        fleet.post("/templates", VIDEOS)
        fleet.call("PUT", "/templates/new-videos", VIDEOS)
        fleet.call("DELETE", "/templates/new-videos")
        fleet.call("PATCH", "/agents/server-c", {"tags": {"env": "lab"}})
        put(fleet, "no-lab", NO_LAB)
        fleet.call("DELETE", "/policies/no-lab", why="was a try")
        fleet.call("DELETE", "/agents/server-c")
        assert [one["action"] for one in reversed(records(fleet))] == [
            *(["agent.enrolled", "agent.registered"] * 2),
            "transfer.requested",
            "transfer.pause",
            "transfer.resume",
            "transfer.cancel",
            "transfer.retry",
            "template.created",
            "template.replaced",
            "template.removed",
            "agent.changed",
            "policy.put",
            "policy.removed",
            "agent.removed",
        ]
        changed = next(one for one in records(fleet) if one["action"] == "agent.changed")
        assert (changed["before"]["tags"], changed["after"]["tags"]) == ({}, {"env": "lab"})
        removed = next(one for one in records(fleet) if one["action"] == "policy.removed")
        assert (removed["why"], removed["before"]["text"]) == ("was a try", NO_LAB)

    def test_nothing_secret_is_in_it(self, fleet):
        token = fleet.token("server-x")
        api_key = fleet.join("server-d")["api_key"]
        text = str(stored())
        assert token not in text
        assert token.partition(".")[2] not in text
        assert api_key not in text

    def test_a_change_and_its_record_are_one_transaction(self, fleet):
        with items_written() as written:
            fleet.post("/transfers", RAW)
        assert written == [4], "header, hop, line and audit"

    def test_a_change_that_fails_leaves_no_record(self, fleet):
        before = len(records(fleet))
        fleet.post("/templates", VIDEOS)
        assert fleet.post("/templates", VIDEOS).status == 409
        assert len(records(fleet)) == before + 1

    @pytest.mark.parametrize(
        ("method", "path", "body", "role", "status"),
        [
            ("POST", "/transfers", RAW, "viewer", 403),
            ("POST", "/transfers", {**RAW, "source": "server-b:/data/../etc/"}, "operator", 422),
            ("POST", "/transfers", {**RAW, "source": "server-b:/etc/"}, "operator", 422),
            ("DELETE", "/agents/server-b", None, "operator", 403),
            ("PUT", "/policies/x", {"text": "permit", "why": "let me in"}, "operator", 403),
            ("GET", "/agents", None, "strangers", 403),
            ("POST", "/agents/register", None, None, 401),
            ("POST", "/agents/server-b/credentials", {"hop_id": "k3v9q0d7m2x8c5n1b6za-0"}, None, 401),
            (
                "POST",
                "/agents/server-b/manifests",
                {"hop_id": "k3v9q0d7m2x8c5n1b6za-0", "size": 1, "succeeded": True},
                None,
                401,
            ),
        ],
    )
    def test_every_refusal_is_written_and_nothing_else(self, fleet, method, path, body, role, status):
        if path == "/agents/register":
            from tests.support.control_plane import host

            body = host("server-b.not-the-token-that-was-given-out")
        with items_written() as written:
            assert fleet.call(method, path, body, role=role).status == status
        assert written == [1, 1, 2], "no count to add to; one more kind; record and count in one transaction"
        refusal = records(fleet)[0]
        assert (refusal["decision"], refusal["who"]["name"]) == (
            "refused",
            "ana@example.org" if role else "nobody",
        )
        assert refusal["action"].startswith(method)
        assert refusal["why"]

    def test_a_refusal_holds_even_if_it_cannot_be_recorded(self, fleet, monkeypatch):
        def broken(_):
            raise ConnectionError("no table")

        monkeypatch.setattr(adapters.audit_store(), "writes_for", broken)
        assert fleet.post("/transfers", RAW, role="viewer").status == 403

    def test_only_who_manages_policies_reads_it(self, here):
        for path in ("/audit", "/audit/seals", "/audit/chain/2026-11-24"):
            assert here.get(path, role="operator").status == 403
            assert here.get(path).status == 200


class TestRepeatedRefusals:
    """A tab of somebody without rights, or a stranger at an open route, does not fill the audit."""

    TOKEN = "server-b.not-the-token-that-was-given-out"

    @staticmethod
    def refusals(here):
        return [one for one in records(here) if one["decision"] == "refused"]

    @staticmethod
    def an_hour_later(later=timedelta(hours=1, minutes=3)):
        now = datetime.now(UTC) + later
        summary = RefusalSummary(adapters.refusal_store(), adapters.audit_store(), lambda: now)
        summary.write()
        summary.write()

    def test_a_tab_that_polls_leaves_one_record_and_one_with_the_count(self, fleet):
        for _ in range(23):
            assert fleet.get("/agents", role="strangers").status == 403
        [first] = self.refusals(fleet)
        assert (first["action"], first["repeats"]) == ("GET /agents", 0)
        self.an_hour_later()
        # The record of the ended hour is of the future here, so it is looked for in the table.
        found = [json.loads(row["record"]["S"]) for row in stored() if "record" in row]
        assert sorted(one["repeats"] for one in found if one["decision"] == "refused") == [0, 22]
        [last] = [one for one in found if one["repeats"]]
        assert (last["who"], last["action"], last["why"]) == (first["who"], first["action"], first["why"])
        self.an_hour_later()
        assert len([row for row in stored() if "record" in row]) == len(found), "it is written once"

    def test_a_refusal_counted_while_its_hour_is_summed_up_is_recorded_by_the_next_call(
        self, fleet, monkeypatch
    ):
        for _ in range(3):
            assert fleet.get("/agents", role="strangers").status == 403
        store = adapters.refusal_store()
        repeated = store.repeated

        def counted_meanwhile(hour, limit):
            for key, first, times in repeated(hour, limit):
                store.increment(first.at, key)
                yield key, first, times

        now = datetime.now(UTC) + timedelta(hours=1, minutes=3)
        summary = RefusalSummary(store, adapters.audit_store(), lambda: now)
        with monkeypatch.context() as patched:
            patched.setattr(store, "repeated", counted_meanwhile)
            summary.write()
        summary.write()
        found = [json.loads(row["record"]["S"]) for row in stored() if "record" in row]
        assert [one["repeats"] for one in found if one["repeats"]] == [3]

    def test_different_refusals_of_a_person_have_a_record_each(self, fleet):
        for name in ("server-b", "server-c", "server-b"):
            assert fleet.call("DELETE", f"/agents/{name}", role="operator").status == 403
        fleet.call("DELETE", "/agents/server-b", role="operator", who="bo@example.org")
        assert sorted((one["who"]["name"], one["about"]) for one in self.refusals(fleet)) == [
            ("ana@example.org", "DELETE /agents/server-b"),
            ("ana@example.org", "DELETE /agents/server-c"),
            ("bo@example.org", "DELETE /agents/server-b"),
        ]

    def test_every_path_that_somebody_tries_has_a_record_of_its_own(self, fleet):
        """The reason alone does not tell them apart."""
        for path in ("/data/../etc/a", "/data/../etc/b", "/data/./../../etc/a", "/data/../etc/a"):
            assert fleet.post("/transfers", {**RAW, "source": f"server-b:{path}"}).status == 422
        assert len(self.refusals(fleet)) == 3

    def test_a_stranger_gets_one_record_an_hour_for_a_route_whatever_they_send(self, fleet):
        for number in range(30):
            path = f"/agents/server-{number}/credentials"
            hop = {"hop_id": f"k3v9q0d7m2x8c5n1b6za-{number}"}
            assert fleet.post(path, hop, role=None).status == 401
        assert len(self.refusals(fleet)) == 1

    @pytest.mark.parametrize(("limit", "who"), [("MAX_KINDS", "bo"), ("MAX_STRANGERS", "nobody")])
    def test_beyond_the_limit_of_an_hour_all_others_are_one(self, fleet, monkeypatch, limit, who):
        """Of a person who tries everything, and of strangers from everywhere."""
        monkeypatch.setattr(refusals, limit, 3)
        for number in range(12):
            stranger = Principal(who, address=f"203.0.{number}.1")
            event = AuditEvent(action="POST /transfers", about=f"POST /transfers {number}")
            wiring.audit_recorder().record_refusal(stranger, event, "no")
        told = [one["action"] for one in self.refusals(fleet)]
        assert (told.count("POST /transfers"), told.count("refused.others")) == (3, 1)
        [(_, first, times)] = adapters.refusal_store().repeated(datetime.now(UTC), 10)
        assert (first.action, times) == ("refused.others", 9)

    @pytest.mark.parametrize(
        "name", ["x" * 60_000, "\ud800\u202e\x1b[2J", "server-b"], ids=["long", "odd", "plain"]
    )
    def test_a_crafted_path_is_recorded_but_not_at_any_length(self, fleet, name):
        assert fleet.call("DELETE", f"/agents/{name}", role="operator").status == 403
        [refusal] = self.refusals(fleet)
        assert len(json.dumps(refusal)) < 8_000
        assert refusal["agents"] == (["server-b"] if name == "server-b" else [])

    def test_refusals_at_the_same_time_are_all_counted(self, fleet, monkeypatch):
        """Two requests find no count: one begins it, and the other counts on."""
        store = adapters.refusal_store()
        increment = store.increment
        assert fleet.get("/agents", role="strangers").status == 403
        late = iter([False])
        monkeypatch.setattr(store, "increment", lambda *of: next(late, None) is None and increment(*of))
        assert fleet.get("/agents", role="strangers").status == 403
        assert len(self.refusals(fleet)) == 1
        [(_, _, times)] = adapters.refusal_store().repeated(datetime.now(UTC), 10)
        assert times == 2

    @pytest.mark.parametrize(
        ("address", "other", "equal"),
        [
            ("198.51.100.7", "198.51.100.200", True),
            ("198.51.100.7", "198.51.101.7", False),
            ("2001:db8:1:2::3", "2001:db8:1:ffff::4", True),
            ("2001:db8:1:2::3", "2001:db8:2:2::3", False),
            (None, "nonsense", True),
        ],
    )
    def test_strangers_of_one_network_are_one(self, address, other, equal):
        nobody = Actor(id="nobody", name="nobody")
        one, another = (sample(AuditRecord, who=nobody, address=given) for given in (address, other))
        assert (refusals._kind(one, "first") == refusals._kind(another, "second")) is equal


class TestMistakes:
    def test_a_policy_with_a_typo_is_no_refusal(self, fleet):
        before = len(records(fleet))
        assert fleet.call("PUT", "/policies/x", {"text": "permitt (", "why": "a try"}).status == 422
        assert len(records(fleet)) == before

    def test_a_directory_that_its_agent_cannot_read_is_no_refusal(self):
        assert not _is_refusal(AgentDeclinedError(Problem(code="denied", message="no", advice="")))


class TestReading:
    def test_by_person_transfer_agent_and_time_page_by_page_without_a_scan(self, fleet):
        for who in ("bo@example.org", "cy@example.org", "bo@example.org"):
            fleet.post("/transfers", RAW, who=who)
        fleet.people.groups["bo@example.org"] = ("admin",)
        stream()
        with items_written():
            assert len(records(fleet, person="bo@example.org")) == 2
            assert len(records(fleet, agent="server-c")) == 5, "enrolled, registered, three transfers"
            soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
            assert records(fleet, since=soon) == []
            seen, cursor = [], {}
            while True:
                page = fleet.get("/audit", limit="3", **cursor).body
                seen += [one["record_id"] for one in page["records"]]
                if not page["next"]:
                    break
                cursor = {"after": page["next"]}
        assert seen == sorted(seen, reverse=True)
        assert len(set(seen)) == 7

    @pytest.mark.parametrize("named", [{}, {"agent": "server-b"}])
    @pytest.mark.parametrize("path", ["/audit", "/transfers"])
    def test_the_first_and_the_last_of_all_years_are_times_too(self, fleet, path, named):
        first, last = "0001-03-29T14:20:23-03:57", "9999-12-31T23:59:59+00:00"
        key = path.strip("/").replace("audit", "records")
        everything = fleet.get(path, since=first, until=last, **named)
        assert everything.status == 200, everything.text
        for window in ({"until": first}, {"since": last}, {"since": last, "until": first}):
            assert fleet.get(path, **window, **named).body[key] == []

    @pytest.mark.parametrize(
        "query", [{"person": "a", "agent": "b"}, {"after": "nonsense"}, {"since": "soon"}]
    )
    def test_says_what_it_does_not_understand(self, here, query):
        assert here.get("/audit", **query).status == 400


class TestSizes:
    """Whatever was written, each answer fits into what Lambda may answer, and a day can be verified."""

    LAMBDA_BYTES = 6 * 1024 * 1024

    @pytest.fixture
    def large(self, fleet):
        """Write a day with records of the largest size that a table takes."""
        for number in range(25):
            at = f"{TODAY:%Y-%m-%d}T00:00:00.{number:06d}Z"
            record = sample(
                AuditRecord,
                record_id=f"{at}-00000000",
                at=at,
                agents=("server-b",),
                transfer_id="k3v9q0d7m2x8c5n1b6za",
                before={"text": '"' * 180_000},
            )
            adapters.audit_store().add_record(record)
        stream()
        return fleet

    @pytest.mark.parametrize(
        "query", [{}, {"agent": "server-b"}, {"transfer_id": "k3v9q0d7m2x8c5n1b6za"}], ids=str
    )
    def test_pages_of_large_records_are_answered_and_none_is_left_out(self, large, query):
        seen, cursor = [], {}
        while True:
            answer = large.get("/audit", limit="200", since=f"{TODAY:%Y-%m-%d}T00:00:00Z", **query, **cursor)
            assert answer.status == 200
            assert len(json.dumps({"body": answer.text})) < self.LAMBDA_BYTES
            seen += [one["record_id"] for one in answer.body["records"]]
            if not answer.body["next"]:
                break
            cursor = {"after": answer.body["next"]}
        large_ones = [one for one in seen if one.endswith("-00000000")]
        assert len(large_ones) == len(set(large_ones)) == 25
        assert seen == sorted(seen, reverse=True)

    def test_a_page_of_large_links_ends_early_too(self, fleet):
        for _ in range(6):
            fleet.post("/transfers", RAW)
            stream()
        numbers, after = [], 0
        while after is not None:
            links, after = adapters.audit_store().links(
                f"{datetime.now(UTC):%Y-%m-%d}", after, 200, max_bytes=1_000
            )
            assert len(links) < 6
            numbers += [link.number for link in links]
        assert numbers == [1, 2, 3, 4, 5, 6]


class TestRowsOfOthers:
    """A row that is not under its record's id and time is no record, and does not hide those that are."""

    @pytest.fixture(params=["another's key", "another time", "no record", "broken"])
    def intruder(self, fleet, request):
        fleet.post("/transfers", RAW)
        row = max((row for row in stored() if "record" in row), key=lambda row: row["part"]["S"])
        row["part"] = {"S": row["part"]["S"][:-8] + "ffffffff"}
        if request.param == "another time":
            made = json.loads(row["record"]["S"]) | {
                "record_id": row["part"]["S"],
                "at": "2026-01-01T00:00:00Z",
            }
            row["record"] = {"S": json.dumps(made)}
        if request.param == "no record":
            del row["record"]
        if request.param == "broken":
            row["record"] = {"S": "{"}
        boto3.client("dynamodb", REGION).put_item(TableName=TABLE, Item=row)
        return row

    def test_it_is_not_listed_and_counted_as_tampering(self, fleet, intruder, capsys):
        for query in ({}, {"person": "ana@example.org"}):
            listed = [one["action"] for one in records(fleet, **query)]
            assert listed.count("transfer.requested") == 1
        assert "AuditTampered" in capsys.readouterr().out

    def test_it_is_not_chained_and_counted_as_tampering(self, fleet, intruder, capsys):
        event = {"Keys": {"day": intruder["day"], "part": intruder["part"]}, "NewImage": intruder}
        new = {"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": event}
        on_audit.handler({"Records": [new]}, Context())
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        assert fleet.get(f"/audit/chain/{day}").body["links"] == []
        assert "AuditTampered" in capsys.readouterr().out


def everything(here):
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    seals = AuditSealsView.model_validate(here.get("/audit/seals").body)
    chain = {day: tuple(map(AuditLink.model_validate, here.get(f"/audit/chain/{day}").body["links"]))}
    yesterday = {seal.day: () for seal in seals.seals if seal.day < day}
    found = tuple(map(AuditRecord.model_validate, here.get("/audit", limit="200").body["records"]))
    return Audit(found, yesterday | chain, seals.seals, seals.keys)


def flaws(here, later=timedelta(hours=1)):
    """Return what verification finds after `later`, without today's missing seal if that is past midnight."""
    now = datetime.now(UTC)
    found = verified(everything(here), now + later).flaws
    is_over, today = (now + later).date() > now.date(), f"{now:%Y-%m-%d}"
    return [one for one in found if not (is_over and one.startswith(today) and "seal is missing" in one)]


def seal_completed_days():
    """Seal all completed days, including yesterday in the first minutes of a day."""
    now = datetime.now(UTC)
    clock = max(now, now.replace(hour=0, minute=30))
    wiring.audit_sealer()._clock = lambda: clock
    wiring.audit_sealer().seal()


class TestPointers:
    """Records are found by agent; a transfer to fifty servers names 51."""

    @pytest.fixture
    def many(self, fleet):
        """Return a function that makes this many records about 51 agents each."""

        def made(number: int) -> list[AuditRecord]:
            agents = tuple(f"server-{index}" for index in range(51))
            at = datetime.now(UTC)
            times = [at + timedelta(milliseconds=index) for index in range(number)]
            return [sample(AuditRecord, record_id=new_record_id(one), at=one, agents=agents) for one in times]

        return made

    @pytest.mark.parametrize(("number", "calls"), [(2, 2), (10, 6)])
    def test_a_hundred_pointers_are_one_call(self, many, number, calls):
        """One call for each made the chain fall behind at three such records a second."""
        found = many(number)
        with items_written() as written, one_call_at_a_time():
            wiring.audit_chain().chain(found)
        assert len(written) == calls + 1, "and one for the link"
        assert sum(written) == number * 51 + 1

    def test_what_the_stream_brings_again_is_not_written_again_and_what_was_left_out_is(self, many):
        found = many(3)
        store = adapters.audit_store()
        with one_call_at_a_time():
            store.point(found[:2])
            before = stored()
            store.point(found)
            after = [row for row in stored() if row not in before]
            assert {row["part"]["S"] for row in after} == {found[2].record_id}
            assert len(after) == 51
            store.point(found)
        assert len(stored()) == len(before) + 51

    def test_a_fault_of_the_table_is_not_taken_for_pointers_that_exist(self, many, monkeypatch):
        def failing(self, operation, arguments):
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, operation)

        found = many(1)
        monkeypatch.setattr(BaseClient, "_make_api_call", failing)
        with pytest.raises(PynamoDBException):
            adapters.audit_store().point(found)


class TestProof:
    @pytest.fixture
    def chained(self, fleet):
        fleet.post("/transfers", RAW)
        stream()
        seal_completed_days()
        return fleet

    def edit(self, part, change):
        row = next(one for one in stored() if one["part"]["S"] == part and "record" in one)
        boto3.client("dynamodb", REGION).put_item(
            TableName=TABLE, Item={**row, "record": {"S": change(row["record"]["S"])}}
        )

    def test_untouched_records_verify(self, chained):
        assert flaws(chained) == []
        assert len(everything(chained).links[f"{datetime.now(UTC):%Y-%m-%d}"]) == 1

    def test_an_edit_shows(self, chained):
        target = records(chained)[0]["record_id"]
        self.edit(target, lambda text: text.replace("ana@example.org", "eve@example.org"))
        assert flaws(chained) == [f"{target}: the record was changed"]

    def test_a_deletion_shows(self, chained):
        target = records(chained)[2]["record_id"]
        key = {"day": {"S": target[:10]}, "part": {"S": target}}
        boto3.client("dynamodb", REGION).delete_item(TableName=TABLE, Key=key)
        assert flaws(chained) == [f"{target}: the record was deleted"]

    def test_what_is_slipped_in_past_the_chain_shows(self, chained):
        chained.post("/transfers", RAW)
        target = records(chained)[0]["record_id"]
        assert flaws(chained, timedelta(0)) == [], "it may still be on its way"
        assert [flaw.partition(":")[0] for flaw in flaws(chained)] == [target[:13]]

    def test_a_link_with_a_forged_digest_is_detected(self, chained):
        chained.post("/transfers", RAW)
        stream()
        row = next(one for one in stored() if "link" in one and one["part"]["S"] == "00000001")
        forged = row["link"]["S"].replace('"digest":"', '"digest":"0', 1)
        boto3.client("dynamodb", REGION).put_item(TableName=TABLE, Item={**row, "link": {"S": forged}})
        assert any("#1: the link was changed" in flaw for flaw in flaws(chained))

    def test_a_chain_that_differs_from_its_signed_seal_shows(self, chained):
        """A rewritten day with matching digests still lacks the key's signature."""
        tomorrow = datetime.now(UTC) + timedelta(days=1, hours=1)
        key = adapters.settings().audit_key_id
        kms = adapters.kms()
        AuditSealer(adapters.audit_store(), kms, key, lambda: tomorrow).seal()
        assert verified(everything(chained), tomorrow).flaws == []
        for row in [one for one in stored() if "link" in one]:
            position = {"day": row["day"], "part": row["part"]}
            boto3.client("dynamodb", REGION).delete_item(TableName=TABLE, Key=position)
        stream()
        stream()
        assert any(
            "not the one that was sealed" in one for one in verified(everything(chained), tomorrow).flaws
        )

    def test_a_seal_that_is_signed_by_another_key_shows(self, chained):
        audit = everything(chained)
        other = adapters.kms().create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
        kms, key = adapters.kms(), other["KeyMetadata"]["Arn"]
        forger = AuditSealer(adapters.audit_store(), kms, key, lambda: TODAY)
        (theirs,) = forger.seal_keys()
        swapped = Audit(audit.records, audit.links, audit.seals, ({**theirs, "kid": audit.keys[0]["kid"]},))
        assert any("signature is wrong" in flaw for flaw in verified(swapped, TODAY).flaws)

    def test_a_seal_that_is_taken_out_shows(self, chained):
        three_days = datetime.now(UTC) + timedelta(days=3, hours=1)
        kms = adapters.kms()
        AuditSealer(adapters.audit_store(), kms, adapters.settings().audit_key_id, lambda: three_days).seal()
        whole = everything(chained)
        assert len(whole.seals) >= 4
        without = Audit(whole.records, whole.links, (*whole.seals[:1], *whole.seals[2:]), whole.keys)
        assert any("the seal is missing" in flaw for flaw in verified(without, three_days).flaws)

    def test_the_stream_may_bring_a_record_twice(self, chained):
        stream()
        assert flaws(chained) == []

    def test_a_day_is_sealed_once_and_a_warm_function_reads_nothing(self, chained, monkeypatch):
        monkeypatch.setattr(adapters.audit_store(), "last_seal", lambda: pytest.fail("asked"))
        wiring.audit_sealer().seal()

    def test_a_change_that_the_stream_shows_is_counted(self, chained, capsys):
        stream(name="MODIFY")
        assert "AuditTampered" in capsys.readouterr().out
