"""Policies: managed in versions, and enforced on every route with the name of the policy."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from threading import Event

import cedarpy
import pytest

from events.commands import Browse, ReadLog
from events.policies import PolicyRequest
from events.reports import Browsed, LogExcerpt
from lambdas import adapters, wiring
from lambdas.api.app import ROUTES
from lambdas.domain import problems
from lambdas.domain.authorization import Principal
from lambdas.policies.decision_point import CACHE_TTL_S, DecisionPoint
from tests.support.control_plane import publish
from tests.support.waiting import HANG_TIMEOUT_S
from tests.support.world import items_written

RAW = {"source": "server-b:/data/raw/", "destinations": ["server-c:/primary/"]}
NO_LAB = """forbid (principal, action == Action::"transfer", resource in Tag::"env=lab")
when { context has source_agent && context.source_agent in Tag::"env=production" };"""
ONLY_READ = """forbid (principal, action, resource)
unless { action in [Action::"read", Action::"manage_policy"] };"""


def put(here, name, text, **how):
    return here.call("PUT", f"/policies/{name}", {"text": text, "why": "because of a test"}, **how)


@pytest.fixture
def fleet(here):
    """Agents: b is in production, c in the laboratory, d in neither; their directories are empty."""

    def answer(agent_id, command):
        if isinstance(command, ReadLog):
            wiring.agent_service().answered(agent_id, LogExcerpt(request_id=command.request_id))
        if isinstance(command, Browse):
            wiring.agent_service().answered(agent_id, Browsed(request_id=command.request_id))

    here.fleet.on_command = answer
    for name, tags in (("server-b", {"env": "production"}), ("server-c", {"env": "lab"}), ("server-d", {})):
        here.join(name)
        here.call("PATCH", f"/agents/{name}", {"tags": tags})
    return here


class TestKeeping:
    def test_what_comes_with_crosshaul_is_in_force_and_can_be_seen(self, here):
        shown = here.get("/policies", role="viewer").body["policies"]
        assert [(one["policy_id"], one["version"]) for one in shown] == [
            ("admin", 1),
            ("operator", 1),
            ("viewer", 1),
        ]

    def test_versions_stay_with_who_and_why(self, here):
        assert put(here, "no-lab", NO_LAB).body["version"] == 1
        put(here, "no-lab", NO_LAB + " // better")
        assert here.call("DELETE", "/policies/no-lab", why="was too strict").status == 204
        assert here.get("/policies/no-lab").status == 404
        assert put(here, "no-lab", NO_LAB).body["version"] == 4
        past = here.get("/policies/no-lab").body["past"]
        assert [(one["version"], one["why"]) for one in past] == [
            (4, "because of a test"),
            (3, "was too strict"),
            (2, "because of a test"),
            (1, "because of a test"),
        ]
        assert past[1]["text"] is None
        assert {one["by"]["name"] for one in past} == {"ana@example.org"}

    def test_one_that_came_along_can_be_taken_out_and_put_back(self, here):
        assert here.call("DELETE", "/policies/viewer", why="nobody just looks").status == 204
        assert here.get("/agents", role="viewer").status == 403
        assert here.call("DELETE", "/policies/viewer", why="once more").status == 404
        text = 'permit (principal in Group::"viewer", action == Action::"read", resource);'
        assert put(here, "viewer", text, version="0").body["version"] == 3
        assert here.get("/agents", role="viewer").status == 200

    def test_writing_over_another_version_is_a_conflict(self, here):
        put(here, "no-lab", NO_LAB)
        assert put(here, "no-lab", NO_LAB, version="0").status == 409
        assert put(here, "no-lab", NO_LAB, version="1").status == 200

    def test_a_new_policy_takes_no_name_of_one_that_came_along(self, here):
        theirs = here.get("/policies/operator").body
        answer = put(here, "operator", NO_LAB, version="0")
        assert answer.problem == problems.POLICY_EXISTS
        assert "comes with Crosshaul" in answer.body["detail"]
        assert answer.body["advice"]
        assert here.get("/policies/operator").body == theirs

    def test_a_shipped_policy_is_changed_only_over_the_version_that_was_seen(self, here):
        seen = here.get("/policies/operator").body
        changed = put(here, "operator", seen["text"] + " // ours", version=str(seen["version"]))
        assert (changed.status, changed.body["version"]) == (200, seen["version"] + 1)
        answer = put(here, "operator", seen["text"], version=str(seen["version"]))
        assert answer.problem == problems.STALE

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("permit (principal, action, resource)", "line 1, column 37: unexpected end of input"),
            ("permit (principal, action resource);", "line 1, column 27: unexpected token `resource`"),
            ("// yes\nfrobid (principal, action, resource);", "line 2, column 1: invalid policy effect"),
            (
                'forbid (principal, action == Action::"transfer", resource)\nwhen { context.sorce_path == "" };',  # noqa: E501
                "line 2, column 16: attribute `sorce_path`",
            ),
            ('permit (principal in Grup::"x", action, resource);', "line 1, column 22: unrecognized entity"),
            ("permit (principal == ?principal, action, resource);", "line 1, column 22: a slot"),
            ('@requires("luck") forbid (principal, action, resource);', "line 1, column 1: @requires"),
            ('@requires("approval") forbid (principal, action, resource);', "only transfers can wait"),
            (
                '@requires("approval") forbid (principal, action == Action::"browse", resource);',
                "only transfers can wait",
            ),
            (
                '@requires("approval")\n'
                'forbid (principal, action in [Action::"transfer", Action::"stop"], resource);',
                "line 1, column 1: only transfers can wait",
            ),
            ("// nothing", "line 1, column 1: there are 0 statements"),
            ("// really?\npermit (principal == ?principal, action, resource);", "line 2, column 22: a slot"),
        ],
    )
    def test_a_text_that_will_not_do_is_refused_with_its_place_and_advice(self, here, text, place):
        answer = put(here, "wrong", text)
        assert answer.status == 422
        assert place in answer.body["detail"]
        assert answer.body["advice"]
        assert answer.body["errors"][0]["at"].startswith("text:")
        assert here.get("/policies/wrong").status == 404

    def test_one_mistake_is_reported_once_for_all_its_actions(self, here):
        text = "\n".join(f"permit (principal, action, resource) when {{ context.{name} }};" for name in "ab")
        errors = put(here, "wrong", text).body["errors"]
        assert [error["at"] for error in errors] == ["text:1:53", "text:2:53"]
        assert "browse, drain_agent, manage_agent" in errors[0]["message"]

    def test_a_long_mistake_is_found_as_quickly_as_a_short_one(self, here, monkeypatch):
        parsed = []
        really = cedarpy.policies_to_json_str
        monkeypatch.setattr(cedarpy, "policies_to_json_str", lambda text: parsed.append(text) or really(text))
        answer = put(here, "wrong", "permit (principal, action, resource) when { " + "!" * 5000 + "true };")
        assert "too many occurrences" in answer.body["detail"]
        assert len(parsed) < 30

    def test_nobody_shuts_themselves_out(self, here):
        assert here.call("DELETE", "/policies/admin", why="who needs them").status == 422
        answer = put(here, "locked", "forbid (principal, action, resource);")
        assert answer.problem == problems.POLICY_LOCKOUT
        assert here.get("/agents").status == 200

    def test_a_change_costs_four_writes(self, here):
        with items_written() as written:
            put(here, "no-lab", NO_LAB)
        assert written == [4], "the head, the policy, its version, and the audit"


class TestDeciding:
    def test_a_refusal_names_the_policy(self, fleet):
        put(fleet, "no-production-in-lab", NO_LAB)
        answer = fleet.post("/transfers", RAW, role="operator")
        assert (answer.status, answer.body["policies"]) == (403, ["no-production-in-lab"])
        assert "no-production-in-lab" in answer.body["detail"]
        assert fleet.get("/transfers").body["transfers"] == []
        assert fleet.post("/transfers", {**RAW, "destinations": ["server-d:/primary/"]}).status == 202

    def test_a_policy_may_forbid_the_relay(self, fleet):
        words = (
            'forbid (principal, action == Action::"transfer", resource) when { context.relay == "allowed" };'
        )
        put(fleet, "nothing-by-s3", words)
        allowed = {"destinations": ["server-d:/primary/"], "options": {"relay": "allowed"}}
        answer = fleet.post("/transfers", {**RAW, **allowed}, role="operator")
        assert (answer.status, answer.body["policies"]) == (403, ["nothing-by-s3"])
        never = {**allowed, "options": {"relay": "never"}}
        assert fleet.post("/transfers", {**RAW, **never}, role="operator").status == 202

    def test_a_detour_by_another_server_is_seen_through(self, fleet):
        put(fleet, "no-production-in-lab", NO_LAB)
        chain = {**RAW, "destinations": ["server-d:/primary/", "server-c:/primary/"], "shape": "chain"}
        assert fleet.post("/transfers", chain).status == 403

    def test_every_route_that_changes_anything_asks_again_for_what_it_is_about(self, fleet):
        """The precheck is not enough: a new route must authorize its resource, too."""
        transfer = fleet.post("/transfers", {**RAW, "destinations": ["server-d:/primary/"]}).body[
            "transfer_id"
        ]
        rollout = fleet.post("/rollouts", {"name": "{hostname}", "count": 2}).body["rollout_id"]
        publish("0.2.0")
        update = fleet.post("/updates", {"everyone": True}).body["update_id"]
        put(fleet, "only-read", ONLY_READ)
        bodies = {
            "/updates": {"everyone": True},
            "/agents/enrollments": {"agent_id": "server-x"},
            "/rollouts": {"name": "{hostname}", "count": 2},
            "/agents/{agent_id}": {"tags": {}},
            "/agents/{agent_id}/drain": {},
            "/agents/{agent_id}/browse": {"path": "/data"},
            "/agents/{agent_id}/log": {},
            "/buckets/{bucket}/browse": {"prefix": "raw/"},
            "/transfers": RAW,
            "/transfers/{transfer_id}/decline": {"why": "Not this week."},
            "/transfers/distributed": {"source": "server-b:/data/", "destination": "server-d:/primary/"},
            "/templates": TEMPLATE,
            "/templates/{template_id}": TEMPLATE,
        }
        names = {
            "agent_id": "server-b",
            "transfer_id": transfer,
            "template_id": "new-videos",
            "rollout_id": rollout,
            "update_id": update,
            "bucket": "media-uploads",
        }
        writing = [
            one
            for one in ROUTES
            if one.method != "GET"
            and one.action
            and not one.path.startswith("/policies")
            # A watch is for those who may read: it changes how often agents say what reading shows.
            and one.path != "/live/watches"
        ]
        for route in writing:
            path = route.path.format(**names)
            answer = fleet.call(route.method, path, bodies.get(route.path))
            assert (answer.status, answer.body.get("policies")) == (403, ["only-read"]), (
                f"{route.method} {path}"
            )

    def test_a_remote_s_directories_are_not_the_agent_s_own(self, fleet):
        no_payroll = """forbid (principal, action == Action::"browse", resource == Agent::"server-b")
        when { context.path like "archive:/payroll/*" };"""
        put(fleet, "no-payroll", no_payroll)
        remote = fleet.post("/agents/server-b/browse", {"remote": "archive", "path": "/payroll"})
        assert (remote.status, remote.body["policies"]) == (403, ["no-payroll"])
        below = fleet.post("/agents/server-b/browse", {"remote": "archive", "path": "/payroll/2026"})
        assert below.status == 403
        beside = fleet.post("/agents/server-b/browse", {"remote": "archive", "path": "/photos"})
        assert beside.status != 403

    def test_a_bucket_is_looked_into_as_far_as_policies_let(self, fleet):
        no_payroll = """forbid (principal, action == Action::"browse", resource is Bucket)
        when { context.path like "/payroll/*" };"""
        put(fleet, "no-payroll", no_payroll)
        for prefix in ("payroll/", "payroll", "payroll/2026/"):
            refused = fleet.post("/buckets/media-uploads/browse", {"prefix": prefix})
            assert (refused.status, refused.body["policies"]) == (403, ["no-payroll"]), prefix
            assert "the bucket media-uploads" in refused.body["detail"]
        for odd in ("payroll/../x", "/payroll/"):
            assert fleet.post("/buckets/media-uploads/browse", {"prefix": odd}).status == 422
        unknown = fleet.post("/buckets/media-uploads/browse", {"prefix": "photos/"})
        assert unknown.problem == problems.BUCKET_UNKNOWN
        assert fleet.post("/agents/server-b/browse", {"path": "/payroll"}).status == 200

    def test_who_may_look_into_agents_alone_sees_no_bucket(self, fleet):
        agents = """permit (principal in Group::"studio", action == Action::"browse", resource is Agent);"""
        put(fleet, "studio", agents)
        assert fleet.post("/agents/server-b/browse", {"path": "/data"}, role="studio").status == 200
        assert fleet.post("/buckets/media-uploads/browse", {}, role="studio").status == 403

    def test_a_permit_as_narrow_as_a_tag_is_enough(self, fleet):
        studio = """permit (principal in Group::"studio", action == Action::"transfer", resource)
        when { context.source_path like "/data/studio/*" };"""
        put(fleet, "studio", studio)
        inside = {**RAW, "source": "server-b:/data/studio"}
        assert fleet.post("/transfers", inside, role="studio").status == 202
        for outside in ("/data/", "/data/studio2/", "/data/raw/studio/", "/data//./raw/"):
            answer = fleet.post("/transfers", {**RAW, "source": f"server-b:{outside}"}, role="studio")
            assert answer.status == 403, outside
            assert answer.body["policies"] == []
        trick = {**RAW, "source": "server-b:/data/studio/../raw/"}
        assert fleet.post("/transfers", trick, role="studio").status == 422

    def test_tags_cannot_be_changed_to_get_out_of_a_policy(self, fleet):
        mine = """permit (principal in Group::"lab", action == Action::"manage_agent", resource)
        when { resource in Tag::"env=lab" };"""
        put(fleet, "lab-admins", mine)

        def patched(name, **tags):
            return fleet.call("PATCH", f"/agents/{name}", {"tags": tags}, role="lab").status

        assert patched("server-c", env="production") == 403
        assert patched("server-b", env="lab") == 403
        assert patched("server-c", env="lab", rack="7") == 200

    def test_what_forbids_a_movement_does_not_forbid_to_stop_it(self, fleet):
        transfer = fleet.post("/transfers", RAW).body["transfer_id"]
        put(fleet, "no-production-in-lab", NO_LAB)
        assert fleet.post(f"/transfers/{transfer}/pause", role="operator").status == 202
        assert fleet.post(f"/transfers/{transfer}/resume", role="operator").status == 403
        assert fleet.post(f"/transfers/{transfer}/cancel", role="operator").status == 202
        assert fleet.post(f"/transfers/{transfer}/retry", role="operator").status == 403


TEMPLATE = {
    "name": "new-videos",
    "trigger": {"bucket": "media", "prefix": "new-videos/"},
    "destinations": ["server-c:/primary/"],
}


class TestOnAWarmFunction:
    """Policies are not read while the cache is fresh, and then only their version (docs/adr/015)."""

    @pytest.fixture
    def timed(self, here):
        self.now, self.asked = 0.0, []
        self.reading, self.slow = Event(), Event()
        self.slow.set()
        counted = _Counting(adapters.policy_store(), self.asked, self.reading, self.slow)
        return DecisionPoint(counted, timer=lambda: self.now)  # type: ignore[arg-type]

    def decide(self, decision_point, group="operator"):
        return decision_point.may_at_all(Principal("bo", (group,)), "transfer")

    def test_nothing_is_read_while_they_are_fresh_and_one_number_after(self, timed):
        assert self.decide(timed)
        assert self.asked == ["all"]
        self.now += CACHE_TTL_S
        assert self.decide(timed)
        assert self.asked == ["all"]
        self.now += 0.1
        assert self.decide(timed)
        assert self.asked == ["all", "version"]

    def test_another_functions_change_counts_after_ten_seconds_and_a_new_permit_at_once(self, here, timed):
        assert self.decide(timed)
        assert not self.decide(timed, "media")
        put(here, "media", 'permit (principal in Group::"media", action == Action::"transfer", resource);')
        assert self.decide(timed, "media"), "a refusal looks again"
        here.call("DELETE", "/policies/media", why="no more")
        assert self.decide(timed, "media"), "still fresh"
        self.now += CACHE_TTL_S + 0.1
        assert not self.decide(timed, "media")

    def test_nothing_is_decided_by_old_policies_while_new_ones_are_read(self, here, timed):
        """The hops of a transfer to several servers are decided at once."""
        put(here, "media", 'permit (principal in Group::"media", action == Action::"transfer", resource);')
        assert self.decide(timed, "media")
        here.call("DELETE", "/policies/media", why="no more")
        self.now += CACHE_TTL_S + 0.1
        self.reading.clear()
        self.slow.clear()
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(self.decide, timed, "media")
            assert self.reading.wait(HANG_TIMEOUT_S)
            second = threads.submit(self.decide, timed, "media")
            wait([second], 0.3)  # long enough to decide, if nothing keeps it from that
            self.slow.set()
            assert (first.result(), second.result()) == (False, False)


class _Counting:
    def __init__(self, store, asked, reading, slow):
        self._store, self._asked = store, asked
        self._reading, self._slow = reading, slow

    def version(self):
        self._asked.append("version")
        self._reading.set()
        assert self._slow.wait(HANG_TIMEOUT_S)
        return self._store.version()

    def list_policies(self):
        self._asked.append("all")
        return self._store.list_policies()


class TestTrying:
    def test_who_would_be_allowed_what_and_why(self, fleet):
        put(fleet, "no-production-in-lab", NO_LAB)
        fleet.people.groups["bo@example.org"] = ()
        asked = {"person": "bo@example.org", "groups": ["operator"], "transfer": RAW}
        answer = fleet.post("/policies/test", asked).body
        assert (answer["outcome"], answer["policies"]) == ("refused", ["no-production-in-lab"])
        assert [one["destination"] for one in answer["movements"]] == ["server-c:/primary/"]
        answer = fleet.post("/policies/test", {**asked, "groups": ["viewer"]}).body
        assert (answer["outcome"], answer["policies"]) == ("refused", ["no-production-in-lab"])
        fleet.people.groups["bo@example.org"] = ("operator",)
        elsewhere = {**RAW, "destinations": ["server-d:/primary/"]}
        answer = fleet.post("/policies/test", {"person": "bo@example.org", "transfer": elsewhere}).body
        assert (answer["outcome"], answer["policies"], answer["groups"]) == (
            "allowed",
            ["operator"],
            ["operator"],
        )

    def test_everyone_may_ask_about_themselves(self, fleet):
        assert fleet.post("/policies/test", {"transfer": RAW}, role="viewer").body["outcome"] == "refused"
        about_ana = {"transfer": RAW, "person": "ana@example.org"}
        assert fleet.post("/policies/test", about_ana, role="viewer", who="bo@example.org").status == 403

    def test_time_is_of_the_zone_that_is_named(self, fleet, monkeypatch):
        night = """forbid (principal, action == Action::"transfer", resource)
        when { context has size && context.size > 107374182400 }
        unless { context.time.hour >= 22 || context.time.hour < 6 || context.time.weekday == "sunday" };"""
        put(fleet, "large-at-night", night)
        monkeypatch.setattr(wiring.policy_simulator(), "_zone", "Asia/Tokyo")

        def outcome(at, size=2**40):
            return fleet.post("/policies/test", {"transfer": RAW, "at": at, "size": size}).body["outcome"]

        assert outcome("2026-11-24T13:30:00Z") == "allowed", "half past ten in the evening there"
        assert outcome("2026-11-24T22:30:00Z") == "refused"
        assert outcome("2026-11-24T22:30:00Z", 5) == "allowed"
        assert outcome("2026-11-21T15:30:00Z") == "allowed", "Sunday there"

    def test_a_dry_run_shows_what_would_now_be_refused_and_changes_nothing(self, fleet):
        to_lab = fleet.post("/transfers", RAW).body["transfer_id"]
        fleet.post("/transfers", {**RAW, "destinations": ["server-d:/primary/"]})
        answer = fleet.post("/policies/no-lab/dry-run", {"text": NO_LAB}).body
        assert (answer["checked"], answer["complete"]) == (2, True)
        assert [(one["transfer_id"], one["before"], one["after"]) for one in answer["changed"]] == [
            (to_lab, "allowed", "refused")
        ]
        assert answer["changed"][0]["policies"] == ["no-lab"]
        assert fleet.get("/policies/no-lab").status == 404
        without_admins = fleet.post("/policies/admin/dry-run", {}).body
        assert len(without_admins["changed"]) == 2
        assert fleet.post("/policies/nothing/dry-run", {}).status == 404
        assert fleet.post("/policies/x/dry-run", {"text": "permit"}).status == 422


def test_a_policy_that_cannot_be_evaluated_refuses(here):
    here.join("server-b")
    here.join("server-c")
    overflow = """permit (principal in Group::"x", action == Action::"transfer", resource)
    when { context.time.hour * 9223372036854775807 * 9223372036854775807 > 1 };"""
    put(here, "broken", overflow)
    answer = here.post("/policies/test", {"transfer": RAW, "groups": ["x"], "at": "2026-11-24T13:30:00Z"})
    assert (answer.body["outcome"], answer.body["policies"]) == ("refused", ["broken"])


def test_the_book_of_policies_is_written_by_one_at_a_time(here):
    keeping, ana = wiring.policy_service(), Principal("ana", ("admin",))
    store = adapters.policy_store()
    version, _ = store.list_policies()
    keeping.put_policy("a", PolicyRequest(text=NO_LAB, why="first"), ana, None)
    assert store.version() == version + 1
    assert timedelta(seconds=CACHE_TTL_S) <= timedelta(seconds=10)
