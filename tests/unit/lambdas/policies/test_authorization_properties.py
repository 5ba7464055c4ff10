"""Properties of all decisions: deny by default, forbid wins, nothing crashes."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import cedarpy
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from events.locations import AgentLocation, Location, LocationText, RemoteLocation, S3Location
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

LOCATION: TypeAdapter[Location] = TypeAdapter(LocationText)
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
locations = st.one_of(
    st.builds(lambda agent, path, end: AgentLocation(agent_id=agent, path=path + end), agents, paths, ends),
    st.builds(lambda path, end: S3Location(bucket="media", prefix=(path + end).lstrip("/")), paths, ends),
    st.builds(
        lambda agent, path, end: RemoteLocation(agent_id=agent, remote="archive", path=path + end),
        agents,
        paths,
        ends,
    ),
)
principals = st.builds(
    Principal,
    st.text(min_size=1, max_size=20),
    st.tuples(st.sampled_from(["admin", "operator", "viewer", "x", "Ä\n"])),
)
options = st.builds(
    Options,
    verify=st.sampled_from(["transfer", "reread"]),
    bandwidth_limit=st.none() | st.integers(1024, 2**40),
)
instants = st.integers(946684800, 4102444800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
zones = st.sampled_from(["UTC", "Europe/Zurich", "Asia/Kathmandu", "America/St_Johns"])
tags = st.dictionaries(agents, st.dictionaries(words, words, max_size=3))


@st.composite
def authorization_requests(draw):
    """Draw the authorization requests of any transfer that can be planned."""
    shape = draw(st.sampled_from(["fan_out", "chain"]))
    destinations = tuple(draw(st.lists(locations, min_size=1, max_size=3)))
    template = draw(st.none() | st.just("new-videos"))
    spec = TransferSpec(
        source=draw(locations),
        destinations=destinations,
        shape=shape,
        options=draw(options),
        template_id=template,
    )
    try:
        transfer = plan(new_transfer_id(), spec, ADA, datetime(2026, 11, 24, tzinfo=UTC))
    except RefusedError:
        return []
    now = RequestTime(draw(instants), draw(zones))
    return movements(
        draw(principals), "transfer", transfer, draw(tags), now, draw(st.none() | st.integers(0, 2**50))
    )


@settings(max_examples=150, deadline=None)
@given(authorization_requests())
def test_every_question_fits_the_schema_that_policies_are_checked_against(requests):
    for request in requests:
        result = cedarpy.is_authorized(request.cedar_request, "", request.entities_text, schema())
        assert result.diagnostics.errors == []


@settings(max_examples=150, deadline=None)
@given(authorization_requests())
def test_without_a_policy_nothing_is_allowed_and_groups_decide_as_they_always_did(requests):
    for request in requests:
        assert NONE.decide(request).outcome == "refused"
        allowed = bool({"admin", "operator"} & set(request.principal.groups))
        assert PERMITS.decide(request).allowed == allowed


@settings(max_examples=150, deadline=None)
@given(authorization_requests())
def test_a_forbid_wins_over_every_permit(requests):
    for request in requests:
        below = request.context["source_path"].startswith("/data/secret/")
        assert not (below and SECRET.decide(request).allowed)


@settings(max_examples=150, deadline=None)
@given(principals, st.sampled_from(ACTIONS), authorization_requests())
def test_who_is_turned_away_at_the_door_would_be_refused_inside(principal, action, requests):
    precheck = PERMITS.may_at_all(principal, action)
    for request in requests:
        full_request = AuthorizationRequest(
            principal, action, request.resource, request.context, request.about
        )
        assert precheck or not PERMITS.decide(full_request).allowed


@settings(max_examples=100, deadline=None)
@given(authorization_requests())
def test_asking_only_those_whose_heads_fit_decides_the_same(requests):
    text = "".join(MANY.values())
    for request in requests:
        all_of_them = cedarpy.is_authorized(request.cedar_request, text, request.entities_text)
        assert SLICED.decide(request).allowed == all_of_them.allowed


@settings(max_examples=200, deadline=None)
@given(locations)
def test_every_path_begins_and_ends_with_a_slash_and_leads_nowhere_else(location):
    path = path_of(location)
    remote = isinstance(location, RemoteLocation)
    assert path.startswith("archive:/" if remote else "/")
    assert path.endswith("/")
    assert ".." not in path.split("/")


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["a:/", "a:archive:", "s3://media/"]),
    st.lists(st.sampled_from(["..", ".", "", "secret", "%2e%2e", "..."]), max_size=6).map("/".join),
)
def test_every_way_to_write_a_path_is_refused_or_the_one_that_policies_know(start, rest):
    try:
        location = LOCATION.validate_python(f"{start}{rest}")
    except ValidationError:
        return
    inner = path_of(location).removeprefix("archive:").strip("/").split("/")
    assert ".." not in inner
    assert start.startswith("s3:") or inner == [""] or not {"", "."} & set(inner)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.text('permit(forbid,)principal action resource;{}"@=:&|.', max_size=80))
def test_no_text_gets_anything_but_statements_or_places(text):
    try:
        assert statements(text)
    except InvalidPolicyError as error:
        lines = text.split("\n")
        for syntax_error in error.flaws:
            assert 1 <= syntax_error.line <= len(lines)
            assert 1 <= syntax_error.column <= len(lines[syntax_error.line - 1]) + 1


@given(instants, zones)
def test_the_hour_is_the_zones(instant, zone):
    local = instant.astimezone(ZoneInfo(zone))
    context = RequestTime(instant, zone).context
    assert (context["hour"], context["minute"], context["date"]) == (
        local.hour,
        local.minute,
        f"{local:%Y-%m-%d}",
    )
