"""Whatever is asked, decisions hold to what they promise: deny by default, forbid wins, nothing crashes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import cedarpy
from hypothesis import given, settings
from hypothesis import strategies as st

from events.locations import AgentLocation, RemoteLocation, S3Location
from events.options import Options
from lambdas.domain.authorization import (
    ACTIONS,
    AuthorizationRequest,
    Principal,
    RequestTime,
    movements,
    path_of,
)
from lambdas.domain.errors import RefusedError
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan
from lambdas.domain.policy_set import defaults, policy_set
from lambdas.domain.policy_text import InvalidPolicyError, schema, statements
from tests.support.fakes import ADA

PERMITS = policy_set(defaults())
SECRET = policy_set(
    defaults()
    | {
        "secret": """forbid (principal, action == Action::"transfer", resource)
        when { context.source_path like "/data/secret/*" };"""
    }
)
NONE = policy_set({})
MANY = defaults() | {
    "a": 'forbid (principal, action in [Action::"transfer", Action::"browse"], resource == Agent::"a");',
    "b": 'forbid (principal in Group::"operator", action == Action::"transfer", resource in Tag::"=");',
    "c": 'permit (principal in Group::"x", action, resource is Bucket);',
    "d": 'permit (principal == User::"0", action == Action::"transfer", resource is Agent in Tag::"0=");',
}
SLICED = policy_set(MANY)

words = st.text(max_size=12)
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8
).filter(lambda name: name not in {".", ".."})
paths = st.lists(names, max_size=4).map(lambda parts: "/" + "/".join(parts))
ends = st.sampled_from(["", "/"])
agents = st.sampled_from(["a", "b", "c"])
places = st.one_of(
    st.builds(lambda agent, path, end: AgentLocation(agent_id=agent, path=path + end), agents, paths, ends),
    st.builds(lambda path, end: S3Location(bucket="media", prefix=path + end), paths, ends),
    st.builds(
        lambda agent, path, end: RemoteLocation(agent_id=agent, remote="archive", path=path + end),
        agents,
        paths,
        ends,
    ),
)
people = st.builds(
    Principal,
    st.text(min_size=1, max_size=20),
    st.tuples(st.sampled_from(["admin", "operator", "viewer", "x", "Ä\n"])),
)
options = st.builds(
    Options,
    verify=st.sampled_from(["transfer", "reread"]),
    bandwidth_limit=st.none() | st.integers(1024, 2**40),
)
moments = st.integers(946684800, 4102444800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
zones = st.sampled_from(["UTC", "Europe/Zurich", "Asia/Kathmandu", "America/St_Johns"])
tags = st.dictionaries(agents, st.dictionaries(words, words, max_size=3))


@st.composite
def questions(draw):
    """The questions of any transfer that could be planned."""
    shape = draw(st.sampled_from(["fan_out", "chain"]))
    destinations = tuple(draw(st.lists(places, min_size=1, max_size=3)))
    template = draw(st.none() | st.just("new-videos"))
    wish = TransferSpec(
        source=draw(places),
        destinations=destinations,
        shape=shape,
        options=draw(options),
        template_id=template,
    )
    try:
        transfer = plan(new_transfer_id(), wish, ADA, datetime(2026, 11, 24, tzinfo=UTC))
    except RefusedError:
        return []
    now = RequestTime(draw(moments), draw(zones))
    return movements(
        draw(people), "transfer", transfer, draw(tags), now, draw(st.none() | st.integers(0, 2**50))
    )


@settings(max_examples=150, deadline=None)
@given(questions())
def test_every_question_fits_the_schema_that_policies_are_checked_against(asked):
    for question in asked:
        result = cedarpy.is_authorized(question.request, "", question.entities_text, schema())
        assert result.diagnostics.errors == []


@settings(max_examples=150, deadline=None)
@given(questions())
def test_without_a_policy_nothing_is_allowed_and_groups_decide_as_they_always_did(asked):
    for question in asked:
        assert NONE.decide(question).outcome == "refused"
        allowed = bool({"admin", "operator"} & set(question.person.groups))
        assert PERMITS.decide(question).allowed == allowed


@settings(max_examples=150, deadline=None)
@given(questions())
def test_a_forbid_wins_over_every_permit(asked):
    for question in asked:
        below = question.context["source_path"].startswith("/data/secret/")
        assert not (below and SECRET.decide(question).allowed)


@settings(max_examples=150, deadline=None)
@given(people, st.sampled_from(ACTIONS), questions())
def test_who_is_turned_away_at_the_door_would_be_refused_inside(person, action, asked):
    door = PERMITS.may_at_all(person, action)
    for question in asked:
        inside = AuthorizationRequest(person, action, question.resource, question.context, question.about)
        assert door or not PERMITS.decide(inside).allowed


@settings(max_examples=100, deadline=None)
@given(questions())
def test_asking_only_those_whose_heads_fit_decides_the_same(asked):
    text = "".join(MANY.values())
    for question in asked:
        all_of_them = cedarpy.is_authorized(question.request, text, question.entities_text)
        assert SLICED.decide(question).allowed == all_of_them.allowed


@settings(max_examples=200, deadline=None)
@given(places)
def test_every_path_begins_and_ends_with_a_slash_and_leads_nowhere_else(place):
    path = path_of(place)
    remote = isinstance(place, RemoteLocation)
    assert path.startswith("archive:/" if remote else "/")
    assert path.endswith("/")
    assert ".." not in path.split("/")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.text('permit(forbid,)principal action resource;{}"@=:&|.', max_size=80))
def test_no_text_gets_anything_but_statements_or_places(text):
    try:
        assert statements(text)
    except InvalidPolicyError as error:
        lines = text.split("\n")
        for flaw in error.flaws:
            assert 1 <= flaw.line <= len(lines)
            assert 1 <= flaw.column <= len(lines[flaw.line - 1]) + 1


@given(moments, zones)
def test_the_hour_is_the_zones(moment, zone):
    here = moment.astimezone(ZoneInfo(zone))
    context = RequestTime(moment, zone).context
    assert (context["hour"], context["minute"], context["date"]) == (
        here.hour,
        here.minute,
        f"{here:%Y-%m-%d}",
    )
