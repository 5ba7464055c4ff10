"""Templates, and the objects that start them."""

import json

import pytest

from lambdas import adapters, on_object, wiring
from lambdas.domain import problems
from lambdas.domain.errors import StaleError
from tests.support.control_plane import Context

VIDEOS = {
    "name": "new-videos",
    "trigger": {"bucket": "media", "prefix": "new-videos/"},
    "destinations": ["server-b:/primary/storage/", "server-d:/backup/storage/"],
    "shape": "chain",
}
NO_TRANSFER = 'forbid (principal, action == Action::"transfer", resource);'


@pytest.fixture
def saved(here):
    assert here.post("/templates", VIDEOS).status == 201
    return here


class TestKeeping:
    def test_one_is_written_shown_listed_replaced_and_removed(self, saved):
        shown = saved.get("/templates/new-videos", role="viewer").body
        assert (shown["version"], shown["owner"]["name"], shown["enabled"]) == (1, "ana@example.org", True)
        assert [one["template_id"] for one in saved.get("/templates").body["templates"]] == ["new-videos"]

        changed = saved.call(
            "PUT", "/templates/new-videos", {**VIDEOS, "description": "all of them"}, who="bo@x.org"
        )
        assert (changed.body["version"], changed.body["owner"]["name"]) == (2, "ana@example.org")
        assert saved.call("DELETE", "/templates/new-videos").status == 204
        assert saved.get("/templates/new-videos").status == 404
        assert saved.call("DELETE", "/templates/new-videos").status == 404

    @pytest.mark.parametrize("number", [1, 5])
    def test_a_page_of_templates_reads_all_their_agents_at_once(self, saved, monkeypatch, number):
        """Each template's agents used to be a call of their own."""
        for index in range(number - 1):
            body = {**VIDEOS, "name": f"more-{index}", "destinations": [f"server-{index}:/primary/"]}
            assert saved.post("/templates", body).status == 201
        store, asked = adapters.agent_store(), []
        get_many = store.get_many

        def counting(names):
            asked.append(list(names))
            return get_many(asked[-1])

        monkeypatch.setattr(store, "get_many", counting)
        page = saved.get("/templates").body["templates"]
        assert len(page) == number
        assert len(asked) == 1
        for one in page:
            unknown = [destination["agent_id"] for destination in one["destinations"]]
            warned = [warning["message"] for warning in one["warnings"]]
            assert warned == [f"Agent {name} does not exist." for name in unknown]

    def test_a_name_is_given_once(self, saved):
        assert saved.post("/templates", VIDEOS).status == 409

    def test_creating_again_with_the_same_key_is_harmless(self, here):
        key = {"Idempotency-Key": "t-1"}
        assert [here.post("/templates", VIDEOS, headers=key).status for _ in range(2)] == [201, 201]

    def test_a_put_for_an_old_version_is_refused(self, saved):
        saved.call("PUT", "/templates/new-videos", VIDEOS)
        assert saved.call("PUT", "/templates/new-videos", VIDEOS, version="1").status == 409
        assert saved.call("PUT", "/templates/new-videos", VIDEOS, version="2").status == 200

    def test_body_and_address_name_the_same(self, here):
        assert here.call("PUT", "/templates/other", VIDEOS).status == 422

    def test_agents_that_are_not_there_yet_are_a_warning(self, here):
        here.join("server-b")
        answer = here.post("/templates", VIDEOS)
        (warning,) = answer.body["warnings"]
        assert (warning["wording"], warning["parameters"]) == ("agent-unknown", {"agent_id": "server-d"})
        assert warning["message"] == "Agent server-d does not exist."

    def test_roots_and_buckets_that_are_not_there_are_a_warning(self, here):
        here.join("server-b")
        here.join("server-d", online=False)  # it has not reported its roots
        trigger = {"bucket": "medla", "prefix": "new-videos/"}
        places = ["server-b:/primry/", "server-b:nas:x/", "server-b:/data/", "s3://uplods/x/", "server-d:/x/"]
        answer = here.post("/templates", {**VIDEOS, "trigger": trigger, "destinations": places})
        assert answer.status == 201, answer.text
        assert [one["message"] for one in answer.body["warnings"]] == [
            "Transfers cannot use the bucket medla: it is not configured for them.",
            "Transfers cannot use the bucket uplods: it is not configured for them.",
            "server-b:/primry/ is outside the roots of agent server-b.",
            "Agent server-b has no remote nas.",
            "server-b:/data/ is read-only: root /data of agent server-b is not writable.",
        ]
        assert {one["parameters"].get("known") for one in answer.body["warnings"][:2]} == {"media, uploads"}
        assert all(one["wording"] for one in answer.body["warnings"]), "each can be put into German"
        assert here.get("/templates").body["templates"][0]["warnings"] == answer.body["warnings"]

    @pytest.mark.parametrize(
        "change",
        [
            {"destinations": ["server-b:/primary/storage"]},
            {"destinations": []},
            {"destinations": ["server-b:/x/", "server-b:/x/"]},
            {"destinations": ["s3://other/x/"], "shape": "fan_out"},
            {"name": "Not A Name"},
            {"trigger": {"bucket": "Not A Bucket"}},
            {"trigger": {"bucket": "media", "prefix": "a/../b"}},
            {"surprise": 1},
        ],
    )
    def test_what_could_never_be_carried_out_is_refused(self, here, change):
        answer = here.post("/templates", VIDEOS | change)
        assert answer.status == 422, answer.text
        assert answer.body["advice"]

    @pytest.mark.parametrize(
        "destinations",
        [
            ["server-b:/p/", "s3://media/new-videos/again/"],
            ["server-b:/p/", "s3://media/"],
        ],
    )
    def test_a_loop_is_refused(self, here, destinations):
        answer = here.post("/templates", {**VIDEOS, "destinations": destinations})
        assert answer.problem == problems.TEMPLATE_LOOP
        assert "new-videos" in answer.body["detail"]

    def test_a_loop_over_two_templates_is_refused(self, saved):
        there = {"name": "there", "trigger": {"bucket": "media", "prefix": "a/"}, "shape": "chain"}
        back = {"name": "back", "trigger": {"bucket": "media", "prefix": "b/"}, "shape": "chain"}
        assert saved.post("/templates", {**there, "destinations": ["x:/p/", "s3://media/b/"]}).status == 201
        answer = saved.post("/templates", {**back, "destinations": ["x:/q/", "s3://media/a/"]})
        assert answer.problem == problems.TEMPLATE_LOOP
        assert "there" in answer.body["detail"]


def created(key: str, mark: str = "1", bucket: str = "media", size: int = 5) -> dict:
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "size": size, "sequencer": mark}}
    return {
        "id": f"event {key} {mark}",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": detail,
    }


def arrive(*events: dict | str) -> list[str]:
    """Return the messages that SQS must deliver again."""
    records = [
        {
            "messageId": f"m{number}",
            "receiptHandle": "r",
            "body": event if isinstance(event, str) else json.dumps(event),
            "attributes": {},
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:q",
            "awsRegion": "eu-central-1",
        }
        for number, event in enumerate(events)
    ]
    answer = on_object.handler({"Records": records}, Context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


class TestObjects:
    @pytest.fixture
    def here(self, saved):
        saved.join("server-b")
        saved.join("server-d")
        return saved

    @staticmethod
    def transfers(here) -> list[dict]:
        listed = here.get("/transfers").body["transfers"]
        return [here.get(f"/transfers/{one['transfer_id']}").body for one in listed]

    def test_a_batch_becomes_one_transfer_of_two_hops_in_a_chain(self, here):
        assert (
            arrive(*[created(f"new-videos/{name}") for name in ("a.mov", "sub/ü + 100%.mov", "a b.mov")])
            == []
        )
        [transfer] = self.transfers(here)
        assert transfer["created_by"]["id"] == "template:new-videos"
        assert transfer["selection_count"] == 3
        assert [(hop["route"], hop["state"]) for hop in transfer["hops"]] == [
            ("s3", "queued"),
            ("direct", "waiting"),
        ]

    def test_an_event_that_comes_twice_starts_nothing_twice(self, here):
        arrive(created("new-videos/a"), created("new-videos/b"))
        arrive(created("new-videos/b"), created("new-videos/c"))
        arrive(created("new-videos/a"), created("new-videos/b"), created("new-videos/c"))
        assert sorted(one["selection_count"] for one in self.transfers(here)) == [1, 2]

    def test_the_same_key_written_again_is_another_arrival(self, here):
        arrive(created("new-videos/a", "1"))
        arrive(created("new-videos/a", "2"))
        assert len(self.transfers(here)) == 2

    def test_what_matches_no_template_starts_nothing(self, here):
        elsewhere = created("new-videos/a", bucket="other")
        assert arrive(created("old-videos/a"), created("new-videos"), elsewhere) == []
        assert self.transfers(here) == []

    def test_keys_no_file_can_have_are_in_the_transfer_for_its_agent_to_report(self, here):
        """Left out at once, they would be in nobody's report."""
        keys = ("good", "/x", "a/../b", "./c", "marker/", "n" * 300)
        assert arrive(*[created(f"new-videos/{key}") for key in keys]) == []
        [transfer] = self.transfers(here)
        assert transfer["selection_count"] == len(keys)

    def test_folder_markers_and_half_made_objects_start_nothing(self, here):
        names = ("new-videos/", "new-videos/sub/", "new-videos/.crosshaul-1")
        assert arrive(*[created(name, size=0) for name in names]) == []
        assert self.transfers(here) == []

    def test_a_template_that_is_off_starts_nothing(self, here):
        here.call("PUT", "/templates/new-videos", {**VIDEOS, "enabled": False})
        arrive(created("new-videos/a"))
        assert self.transfers(here) == []

    def test_a_malformed_message_is_given_back_alone(self, here):
        assert arrive(created("new-videos/a"), "{no json", '{"detail": {}}') == ["m1", "m2"]
        assert len(self.transfers(here)) == 1

    def test_a_gathering_that_fails_is_given_back_whole_and_done_when_it_comes_again(self, here, monkeypatch):
        desk = wiring.transfer_starter()._transfers
        with monkeypatch.context() as patch:

            def broken(*_):
                raise StaleError("Something")

            patch.setattr(desk, "create_from_template", broken)
            assert arrive(created("new-videos/a"), created("new-videos/b"), created("other/c")) == [
                "m0",
                "m1",
            ]
        assert arrive(created("new-videos/a"), created("new-videos/b")) == []
        assert len(self.transfers(here)) == 1

    def test_a_policy_that_comes_between_two_attempts_is_told_in_the_audit_and_tried_once(
        self, here, monkeypatch
    ):
        """One of the objects had a transfer already; that of the other was refused a moment later."""
        arrive(created("new-videos/a"))
        store = adapters.dedupe_store()
        seen = store.seen

        def slowly(keys):
            policy = {"text": NO_TRANSFER, "why": "an incident"}
            assert here.call("PUT", "/policies/stop", policy).status == 200
            return seen(keys)

        monkeypatch.setattr(store, "seen", slowly)
        assert arrive(created("new-videos/a"), created("new-videos/b")) == [], "SQS need not deliver it again"
        [told] = [one for one in here.get("/audit").body["records"] if one["decision"] == "refused"]
        assert (told["about"], told["policies"]) == ("template new-videos", ["stop"])

    def test_two_hundred_objects_become_a_few_transfers(self, here):
        assert arrive(*[created(f"new-videos/{number:04}") for number in range(200)]) == []
        counts = [one["selection_count"] for one in self.transfers(here)]
        assert sum(counts) == 200
        assert len(counts) == 3
