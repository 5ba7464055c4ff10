"""A user is identified by the `sub` of the user pool.

An e-mail address can change, be reassigned or be forged, so nothing is allowed, owned or recorded by it.
"""

import secrets
from itertools import count

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas import wiring
from lambdas.api.auth import caller
from lambdas.aws.user_directory import CACHE_TTL_S, CognitoDirectory
from lambdas.domain import problems
from lambdas.domain.authorization import is_person_id
from lambdas.domain.errors import NotSignedInError
from lambdas.domain.object_batch import ObjectCreated
from lambdas.domain.policy_text import kept as parsed
from lambdas.domain.policy_text import statements, with_ids
from tests.support.control_plane import POOL, REGION, claims_of
from tests.support.fakes import FakeUserDirectory, as_shown, id_of
from tests.unit.lambdas.agents.test_rollouts import ASKED, come
from tests.unit.lambdas.aws.test_user_directory import FakePool
from tests.unit.lambdas.policies.test_policies import RAW, put
from tests.unit.lambdas.templates.test_api_templates import VIDEOS

ANA, EVE, BO = "ana@example.org", "eve@example.org", "bo@example.org"
FOUR_EYES = '@requires("approval")\nforbid (principal, action == Action::"transfer", resource);'
FORBID = 'forbid (principal == User::"eve@example.org", action == Action::"transfer", resource);\n'


@pytest.fixture
def fleet(here):
    for name in ("server-b", "server-c"):
        here.join(name)
    here.people.groups |= {EVE: ("operator",), BO: ("operator",)}
    return here


def eve(address, role="operator", **differently):
    """Return Eve's token with another e-mail address and the same `sub`."""
    return {**claims_of(EVE, role), "email": address, **differently}


def records(here, **query):
    return here.get("/audit", **query).body["records"]


class TestSomebodyRenamesThemselves:
    @pytest.mark.parametrize("address", [ANA, ANA.upper(), "Ana@Example.org"])
    @pytest.mark.parametrize("verified", ["true", "false"])
    def test_and_gains_nothing_and_leaves_a_true_audit(self, fleet, address, verified):
        token = eve(address, email_verified=verified)
        assert fleet.call("DELETE", "/agents/server-b", claims=token).status == 403
        answer = fleet.post("/transfers", RAW, claims=token)
        shown = address if verified == "true" else id_of(EVE)
        assert answer.body["created_by"] == {"id": id_of(EVE), "name": shown}
        assert answer.body["timeline"][0]["by"]["id"] == id_of(EVE)
        assert {one["who"]["id"] for one in records(fleet)[:2]} == {id_of(EVE)}
        assert id_of(EVE) not in {one["who"]["id"] for one in records(fleet, person=ANA)}
        assert len(records(fleet, person=id_of(EVE))) == 2

    def test_and_approves_nothing_of_her_own(self, fleet):
        put(
            fleet,
            "four-eyes",
            '@requires("approval")\nforbid (principal, action == Action::"transfer", resource);',
        )
        transfer = fleet.post("/transfers", RAW, claims=eve(EVE)).body["transfer_id"]
        for address in (ANA, BO, EVE.upper()):
            answer = fleet.post(f"/transfers/{transfer}/approval", claims=eve(address))
            assert answer.status == 403
        assert fleet.post(f"/transfers/{transfer}/approval", role="operator", who=BO).status == 202

    def test_and_a_forbid_stays(self, fleet):
        put(fleet, "not-eve", FORBID)
        for address in (EVE, ANA, EVE.title(), "eve.two@example.org"):
            answer = fleet.post("/transfers", RAW, claims=eve(address))
            assert (answer.status, answer.body["policies"]) == (403, ["not-eve"])

    def test_and_the_next_owner_of_the_address_is_not_forbidden(self, fleet):
        put(fleet, "not-eve", FORBID)
        newcomer = claims_of(EVE, "operator", sub=id_of("another eve"))
        fleet.people.groups["another eve"] = ("operator",)
        assert fleet.post("/transfers", RAW, claims=newcomer).status == 202

    def test_and_gets_nothing_by_another_persons_idempotency_key(self, fleet):
        key = {"Idempotency-Key": "the same"}
        anas = fleet.post("/transfers", RAW, headers=key).body["transfer_id"]
        eves = fleet.post("/transfers", RAW, headers=key, claims=eve(ANA)).body["transfer_id"]
        again = fleet.post("/transfers", RAW, headers=key, claims=eve("eve.two@example.org"))
        assert anas != eves == again.body["transfer_id"], "the same person by another address"

    def test_and_cannot_test_policies_for_another_person(self, fleet):
        """A user without manage_policy can test only for themselves, whatever their name is."""
        body = {"transfer": RAW, "person": ANA}
        answer = fleet.post("/policies/test", body, claims=eve(ANA)).body
        assert (answer["person"]["id"], answer["groups"]) == (id_of(EVE), ["operator"])
        assert fleet.post("/policies/test", {**body, "person": id_of(ANA)}, claims=eve(ANA)).status == 403


class TestPoliciesNamePeople:
    def test_by_address_when_they_are_written_and_by_id_from_then_on(self, fleet):
        put(fleet, "not-eve", FORBID)
        text = fleet.get("/policies/not-eve").body["text"]
        assert text == (
            f'forbid (principal == User::"{id_of(EVE)}", action == Action::"transfer", resource);\n'
            f'// User::"{id_of(EVE)}" is {EVE}\n'
        )
        put(fleet, "not-eve", text)
        assert fleet.get("/policies/not-eve").body["text"] == text, "what was shown can be saved again"

    def test_only_where_a_person_is_meant(self, fleet):
        text = (
            f'// not User::"{EVE}"\n'
            'permit (principal in Group::"eve@example.org", action == Action::"read", resource)\n'
            f'when {{ principal in [User :: "{EVE}", User::"{BO}", User::"{EVE}"] }};'
        )
        put(fleet, "some", text)
        kept = fleet.get("/policies/some").body["text"]
        assert (
            kept
            == text.replace(f'User :: "{EVE}"', f'User :: "{id_of(EVE)}"').replace(
                f', User::"{BO}", User::"{EVE}"', f', User::"{id_of(BO)}", User::"{id_of(EVE)}"'
            )
            + f'\n// User::"{id_of(EVE)}" is {EVE}\n// User::"{id_of(BO)}" is {BO}\n'
        )

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("nobody@example.org", "no user has the e-mail address nobody@example.org"),
            ("eve", "'eve' is not a user's id"),
            (r"eve\u{40}example.org", "'eve@example.org' is not a user's id"),
        ],
    )
    def test_an_unknown_user_is_reported_with_its_place_in_the_text(self, fleet, name, why):
        text = f'forbid (principal, action, resource)\nwhen {{ principal == User::"{name}" }};'
        for method, path in (("PUT", "/policies/x"), ("POST", "/policies/x/dry-run")):
            answer = fleet.call(
                method, path, {"text": text} | ({"why": "for a test"} if method == "PUT" else {})
            )
            assert answer.problem == problems.POLICY_INVALID
            [flaw] = answer.body["errors"]
            assert flaw["message"] == why
            assert flaw["at"].startswith("text:2:" if "u{" not in name else "text:1:")

    def test_no_address_is_a_ground_for_a_rule(self, fleet):
        text = 'forbid (principal, action, resource) when { principal.email like "eve@*" };'
        assert fleet.call("PUT", "/policies/x", {"text": text, "why": "for a test"}).status == 422

    def test_an_unknown_user_is_reported(self, fleet):
        answer = fleet.post("/policies/test", {"transfer": RAW, "person": "nobody@example.org"})
        assert answer.problem == problems.PERSON_UNKNOWN
        assert fleet.get("/audit", person="nobody@example.org").status == 404
        assert fleet.get("/audit", person="template:x").body["records"] == []


PEOPLE = st.sampled_from([EVE, BO, ANA, id_of(EVE), "zoë+1@exämple.org", "o'brien@example.org"])
SPACE = st.sampled_from(["", " ", "\n", f' // User::"{EVE}"\n'])
RULES = st.builds(
    lambda name, space, note: f'forbid (principal == User{space}::{space}"{name}", action, resource);{note}',
    PEOPLE,
    SPACE,
    st.sampled_from(["", "\n", f' // about "{BO}"\n', '\n@why("a \\"quoted\\" x")\n']),
)


@given(st.lists(RULES, min_size=1, max_size=5), st.permutations([EVE, BO]))
def test_what_is_kept_names_the_same_people_by_their_ids_and_is_kept_again_as_it_is(written, order):
    text = "".join(written).removesuffix('@why("a \\"quoted\\" x")\n')
    kept = with_ids(text, id_of)
    meant = [uid["id"] if is_person_id(uid["id"]) else id_of(uid["id"]) for uid in named(text)]
    assert [uid["id"] for uid in named(kept)] == meant
    assert len(statements(kept)) == len(meant)
    moved = dict(zip([EVE, BO], order, strict=True))
    assert with_ids(kept, lambda address: id_of(moved.get(address, address))) == kept


@given(st.text() | st.text(alphabet='User:"@\\ /\n'))
def test_a_text_without_an_address_stays_as_it_is_whatever_is_in_it(text):
    kept = with_ids(text, lambda address: f"<{address}>")
    assert kept == text or "@" in text


def named(text):
    return [one["principal"]["entity"] for one in parsed(text)]


class TestTokens:
    @pytest.mark.parametrize(
        "differently",
        [
            {"token_use": "access"},
            {"token_use": ""},
            {"iss": f"https://cognito-idp.{REGION}.amazonaws.com/eu-central-1_others"},
            {"iss": ""},
            {"sub": ""},
            {"sub": ANA},
            {"sub": "crosshaul"},
            {"sub": "agent:server-b"},
            {"sub": f"{id_of(ANA)}\n"},
        ],
    )
    def test_that_say_of_nobody_here_who_they_are(self, fleet, differently):
        assert fleet.get("/agents", claims=claims_of(ANA, "admin", **differently)).status == 401

    def test_no_agent_or_template_is_taken_for_a_person(self, fleet):
        """An agent may have a user's id as its name; it is still an agent."""
        fleet.join(id_of(ANA))
        assert fleet.get("/audit", person=id_of(ANA)).body["records"][0]["who"] == as_shown(ANA)
        assert not any(is_person_id(name) for name in ("crosshaul", "nobody", f"agent:{id_of(ANA)}"))

    def test_a_name_is_shown_only_if_it_is_known_to_be_theirs(self):
        for claims, shown in (
            (claims_of(ANA, "admin"), ANA),
            (claims_of(ANA, "admin", email_verified="false"), id_of(ANA)),
            (claims_of("", "admin"), id_of("")),
        ):
            assert caller({"authorizer": {"claims": claims}}, POOL).name == shown
        with pytest.raises(NotSignedInError):
            caller({"authorizer": {"claims": claims_of(ANA, "admin")}}, "eu-central-1_others")


class Company(FakeUserDirectory):
    """The people of a user pool, and those who call the API in a test by name alone."""

    def __init__(self, pool, timer):
        super().__init__({})
        self.cognito = CognitoDirectory(pool.cognito, pool.id, timer)

    def find_user(self, who):
        found = self.cognito.find_user(who)
        return super().find_user(who) if found.gone else found

    def id_of(self, text):
        return super().id_of(text) if text in self.groups else self.cognito.id_of(text)


class TestWhoLeaves:
    """With a user pool: what acts for a user ends with the account, even if the address is reassigned."""

    @pytest.fixture
    def pool(self, here):
        made = FakePool()
        minutes = count(step=int(CACHE_TTL_S) + 1)
        here.people = Company(made, timer=lambda: float(next(minutes)))
        for name in ("server-b", "server-d"):
            here.join(name)
        return made

    @staticmethod
    def fire(here):
        """Create an object and return how many transfers exist then."""
        key = f"new-videos/{secrets.token_hex(4)}.mov"
        assert wiring.object_events().handle([ObjectCreated("media", key, "1", 5)]) == []
        return len(here.get("/transfers").body["transfers"])

    def test_their_templates_stay_dead_though_the_address_comes_back(self, here, pool):
        bo = pool.person(BO)
        made = here.post("/templates", VIDEOS, claims=claims_of(BO, "operator", sub=bo.id))
        assert (made.status, made.body["owner"]) == (201, {"id": bo.id, "name": BO})
        assert self.fire(here) == 1
        pool.cognito.admin_delete_user(UserPoolId=pool.id, Username=BO)
        assert self.fire(here) == 1
        successor = pool.person(BO)
        assert self.fire(here) == 1
        refusal = here.get("/audit", person="template:new-videos").body["records"][0]
        assert (refusal["decision"], BO in refusal["why"]) == ("refused", True)
        here.call("PUT", "/templates/new-videos", VIDEOS, claims=claims_of(BO, "operator", sub=successor.id))
        assert self.fire(here) == 1, "nor does it help to write it again under their name"

    @pytest.mark.parametrize("how", ["admin_disable_user", "admin_delete_user"])
    def test_they_move_nothing_though_a_policy_permits_it_to_everybody(self, here, pool, how):
        bo = pool.person(BO)
        here.post("/templates", VIDEOS, claims=claims_of(BO, "operator", sub=bo.id))
        put(here, "everybody", "permit (principal, action, resource);")
        put(here, "bo-too", f'permit (principal == User::"{bo.id}", action, resource);')
        assert self.fire(here) == 1
        getattr(pool.cognito, how)(UserPoolId=pool.id, Username=BO)
        assert self.fire(here) == 1
        refusal = here.get("/audit", person="template:new-videos").body["records"][0]
        assert refusal["why"].startswith(f"{BO} may not move")
        assert refusal["why"].endswith("their account was deleted or disabled.")

    def test_their_templates_go_on_under_a_new_address(self, here, pool):
        bo = pool.person(BO)
        here.post("/templates", VIDEOS, claims=claims_of(BO, "operator", sub=bo.id))
        pool.renamed(BO, "bo.two@example.org")
        pool.person(BO)
        put(here, "not-the-new-one", 'forbid (principal == User::"bo@example.org", action, resource);')
        assert self.fire(here) == 1
        put(here, "not-him", 'forbid (principal == User::"bo.two@example.org", action, resource);')
        assert self.fire(here) == 1

    def test_a_template_of_an_owner_recorded_by_address_is_refused(self, here, pool):
        pool.person(BO)
        here.post("/templates", VIDEOS, claims=claims_of(BO, "operator", sub=pool.sub(BO)))
        boto3.client("dynamodb", REGION).update_item(
            TableName="templates-table",
            Key={"template_id": {"S": "new-videos"}},
            UpdateExpression="SET #o = :a, changed_by = :a",
            ExpressionAttributeNames={"#o": "owner"},
            ExpressionAttributeValues={":a": {"S": BO}},
        )
        assert here.get("/templates/new-videos").body["owner"] == {"id": BO, "name": BO}
        assert self.fire(here) == 0

    def test_their_roll_outs_let_in_nobody_more(self, here, pool):
        pool.cognito.create_group(UserPoolId=pool.id, GroupName="admin")
        ana = pool.person(ANA)
        pool.cognito.admin_add_user_to_group(UserPoolId=pool.id, Username=ANA, GroupName="admin")
        rollout = here.post("/rollouts", ASKED, claims=claims_of(ANA, "admin", sub=ana.id)).body
        assert come(here, rollout["token"], "n1").status == 201
        pool.cognito.admin_delete_user(UserPoolId=pool.id, Username=ANA)
        pool.person(ANA)
        pool.cognito.admin_add_user_to_group(UserPoolId=pool.id, Username=ANA, GroupName="admin")
        assert come(here, rollout["token"], "n2").status == 403
