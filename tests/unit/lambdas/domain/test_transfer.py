"""A transfer's state and progress are derived from its hops, its plan from the spec."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from events.base import MAX_INTEGER
from events.locations import Location, RemoteLocation, destination_of, from_text
from events.progress import Losses, Progress
from events.reports import Capabilities, RemoteState
from events.requests import MAX_DESTINATIONS
from events.states import HopState, TransferState
from lambdas.domain import problems
from lambdas.domain.errors import (
    DuplicateDestinationError,
    LimitError,
    OutsideRootsError,
    OverlapError,
    ReadOnlyError,
    RefusedError,
    RemoteUnknownError,
    RouteError,
)
from lambdas.domain.hop_changes import cancelled, refused
from lambdas.domain.plan import TransferSpec, new_transfer_id, plan, same_transfer_id
from lambdas.domain.roots import check_offered, check_roots
from lambdas.domain.transfer import derived_state
from tests.support.fakes import ADA, MORNING, an_agent

H, T = HopState, TransferState
LATER = MORNING + timedelta(hours=1)


def place(text: str) -> Location:
    found: Location = TypeAdapter(Location).validate_python(from_text(text))
    return found


def a_plan(source: str, *destinations: str, **more):
    wish = TransferSpec(source=place(source), destinations=tuple(map(place, destinations)), **more)
    return plan(new_transfer_id(), wish, ADA, MORNING)


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ({H.QUEUED}, T.QUEUED),
        ({H.OFFERED, H.WAITING}, T.QUEUED),
        ({H.QUEUED, H.PAUSED}, T.QUEUED),
        ({H.RUNNING, H.PAUSED}, T.RUNNING),
        ({H.VERIFYING}, T.RUNNING),
        ({H.SUCCEEDED, H.QUEUED}, T.RUNNING),
        ({H.PAUSED, H.WAITING}, T.PAUSED),
        ({H.PAUSED, H.SUCCEEDED}, T.PAUSED),
        ({H.SUCCEEDED}, T.SUCCEEDED),
        ({H.SUCCEEDED, H.CANCELLED}, T.CANCELLED),
        ({H.CANCELLED}, T.CANCELLED),
        ({H.FAILED, H.CANCELLED}, T.FAILED),
        ({H.FAILED}, T.FAILED),
        ({H.FAILED, H.SUCCEEDED}, T.PARTIALLY_FAILED),
    ],
)
def test_state_follows_from_the_hops(states, state):
    assert derived_state(states) == state


@pytest.mark.parametrize("text", ["s3://media//raw/", "s3://media//", "s3://media///x"])
def test_a_prefix_that_begins_with_a_slash_is_refused_and_not_taken_for_another(text):
    """`raw/` and `/raw/` are two prefixes of a bucket; nothing of the first may arrive for the second."""
    with pytest.raises(ValidationError, match="single slash"):
        place(text)


@pytest.mark.parametrize("key", ["raw/", "a//b", "x", ""])
def test_every_other_key_is_kept_as_it_is(key):
    assert place(f"s3://media/{key}").prefix == key


WHOLE = Progress(bytes_done=192 * 2**20, bytes_total=192 * 2**20, files_done=2, files_total=2)


def test_a_chain_of_192_mib_is_never_384_mib():
    assert Progress.of_hops([WHOLE, WHOLE]) == WHOLE


def test_a_chain_is_half_done_when_its_first_hop_has_ended_and_its_second_waits():
    half = WHOLE.model_copy(update={"bytes_done": 96 * 2**20, "files_done": 1})
    assert Progress.of_hops([WHOLE, Progress()]) == half


def test_a_total_is_unknown_while_no_hop_has_listed_its_source():
    assert Progress.of_hops([Progress(bytes_done=7, files_done=1), Progress()]) == Progress(
        bytes_done=7, files_done=1
    )


def test_totals_hold_what_is_not_kept_and_any_number_of_holes():
    hole = Progress(bytes_done=MAX_INTEGER, bytes_total=MAX_INTEGER, lost=Losses(xattr=1, time=2))
    assert Progress.of_hops([hole, hole]) == hole.model_copy(update={"lost": Losses(xattr=2, time=4)})


@st.composite
def hop_amounts(draw: st.DrawFn) -> Progress:
    """Draw what a hop may report: it has done at most what it has listed."""
    bytes_total = draw(st.none() | st.integers(0, MAX_INTEGER))
    files_total = None if bytes_total is None else draw(st.integers(0, 2**40))
    return Progress(
        bytes_done=draw(st.integers(0, bytes_total or 0)),
        bytes_total=bytes_total,
        files_done=draw(st.integers(0, files_total or 0)),
        files_total=files_total,
    )


@given(st.lists(hop_amounts(), min_size=1, max_size=10))
def test_a_transfer_is_as_large_as_its_largest_hop_and_complete_only_with_all_of_them(parts):
    whole = Progress.of_hops(parts)
    known = [part.bytes_total for part in parts if part.bytes_total is not None]
    assert whole.bytes_total == max(known, default=None)
    assert whole.bytes_done <= (whole.bytes_total or 0)
    assert whole.files_done <= (whole.files_total or 0)
    if whole.bytes_total:
        complete = all(part.bytes_done == part.bytes_total for part in parts)
        empty = [part for part in parts if part.bytes_total is None]
        assert (whole.bytes_done == whole.bytes_total) is (complete and not empty)
    if len(parts) == 1:
        assert whole == parts[0]


def test_a_transfer_ends_with_its_last_hop_and_begins_anew_with_a_retry():
    transfer = a_plan("a:/data/", "b:/x/", "c:/x/")
    problem = problems.AGENT_REMOVED.problem(agent_id="c", person="ana")
    half = transfer.with_hops([refused(transfer.hops[1], problem, LATER)], LATER)
    assert (half.ended_at, half.problem) == (None, problem)
    ended = half.with_hops([cancelled(half.hops[0], LATER)], LATER)
    assert (ended.ended_at, ended.state) == (LATER, T.FAILED)
    assert ended.with_hops([transfer.hops[0]], LATER).ended_at is None


def test_fan_out_serves_every_destination_from_the_source():
    hops = a_plan("a:/data/raw", "b:/x/", "c:/y", "s3://media/raw/").hops
    assert [str(hop.source) for hop in hops] == ["a:/data/raw"] * 3
    assert [str(hop.destination) for hop in hops] == ["b:/x/raw", "c:/y", "s3://media/raw/raw"]
    assert {(hop.state, hop.after) for hop in hops} == {(H.QUEUED, None)}


def test_a_chain_goes_from_each_destination_onward():
    hops = a_plan("s3://media/new/", "b:/primary/", "d:/backup", shape="chain").hops
    assert [(str(hop.source), str(hop.destination)) for hop in hops] == [
        ("s3://media/new/", "b:/primary/"),
        ("b:/primary/", "d:/backup/"),
    ]
    assert [(hop.state, hop.after, hop.route) for hop in hops] == [
        (H.QUEUED, None, "s3"),
        (H.WAITING, 0, "direct"),
    ]


@pytest.mark.parametrize(
    ("source", "destinations", "error"),
    [
        ("s3://media/", ["s3://other/"], RouteError),
        ("a:archive:x/", ["b:/x/"], RouteError),
        ("a:/data/", ["b:archive:x/"], RouteError),
        ("a:archive:x/", ["a:other:x/"], RouteError),
        ("a:archive:x/", ["a:archive:y/"], RouteError),
        ("s3://media/", ["a:archive:x/"], RouteError),
        ("a:archive:x/", ["s3://media/"], RouteError),
        ("a:/data/", ["a:archive:x/", "a:archive:x"], DuplicateDestinationError),
        ("a:/data/", ["a:/data/"], OverlapError),
        ("a:/data/x", ["a:/data/"], OverlapError),
        ("a:/data/", ["a:/data/sub/"], OverlapError),
        ("a:/data/sub/", ["a:/data/"], OverlapError),
        ("a:/", ["a:/x/"], OverlapError),
        ("a:/data/", ["b:/x/", "b:/x"], DuplicateDestinationError),
        ("a:/data/", ["b:/x/"] * (MAX_DESTINATIONS + 1), LimitError),
    ],
)
def test_what_cannot_be_done_is_refused_with_advice(source, destinations, error):
    with pytest.raises(RefusedError) as refusal:
        a_plan(source, *destinations)
    assert type(refusal.value) is error
    assert refusal.value.problem.advice


def test_a_chain_that_comes_back_to_where_it_began_is_refused():
    with pytest.raises(OverlapError):
        a_plan("s3://media/new/", "b:/x/", "s3://media/new/again/", shape="chain")


@pytest.mark.parametrize(
    ("source", "destination"),
    [("a:/data/", "a:/database/"), ("a:/data/sub/x", "a:/data/"), ("a:/data/", "b:/data/")],
)
def test_neighbours_are_not_taken_for_one_another(source, destination):
    assert a_plan(source, destination).hops


def test_a_selection_has_its_limits():
    assert a_plan("s3://media/", "b:/x/", selection=("a",) * 80).selection
    for selection in (("a",) * 81, ("ü" * 8193,)):
        with pytest.raises(LimitError):
            a_plan("s3://media/", "b:/x/", selection=selection)


def test_the_same_words_give_the_same_id():
    same = same_transfer_id("ada", "key")
    assert same == same_transfer_id("ada", "key") != same_transfer_id("adak", "ey")
    for transfer_id in (same, new_transfer_id()):
        assert len(transfer_id) == 20
        assert transfer_id.isalnum()
        assert transfer_id == transfer_id.lower()


def test_the_fingerprint_identifies_the_spec():
    one, other = a_plan("a:/data/", "b:/x/"), a_plan("a:/data/", "b:/y/")
    assert one.fingerprint == a_plan("a:/data/", "b:/x/").fingerprint != other.fingerprint


def test_roots_are_named_when_a_path_lies_outside():
    agent = an_agent("b")
    check_roots(agent, place("b:/archive/x"), writing=True)
    check_roots(agent, place("b:/data"), writing=False)
    with pytest.raises(OutsideRootsError) as outside:
        check_roots(agent, place("b:/database"), writing=False)
    assert "/data, /archive" in outside.value.problem.advice
    with pytest.raises(ReadOnlyError) as read_only:
        check_roots(agent, place("b:/data/x"), writing=True)
    assert "/archive" in read_only.value.problem.advice


@pytest.mark.parametrize(
    ("text", "remote", "path", "again"),
    [
        ("b:archive:photos/2026/", "archive", "photos/2026/", "b:archive:photos/2026/"),
        ("b:archive:/photos/./2026", "archive", "photos/2026", "b:archive:photos/2026"),
        ("b:my.drive+2@work:", "my.drive+2@work", "", "b:my.drive+2@work:"),
        ("b:archive:/", "archive", "", "b:archive:"),
        ("b:archive:a:b", "archive", "a:b", "b:archive:a:b"),
    ],
)
def test_a_remote_is_written_between_two_colons(text, remote, path, again):
    found = place(text)
    assert isinstance(found, RemoteLocation)
    assert (found.agent_id, found.remote, found.path, str(found)) == ("b", remote, path, again)


@pytest.mark.parametrize("text", ["b:archive:../x", "b:-v:x", "b:a,type=local:x", "b:a b:x", "b:archive:x\0"])
def test_what_rclone_could_take_for_anything_else_is_no_remote(text):
    with pytest.raises(ValidationError):
        place(text)


@pytest.mark.parametrize(
    ("source", "destination", "arrival"),
    [
        ("a:/x/one", "a:archive:", "a:archive:one"),
        ("a:/x/", "a:archive:", "a:archive:"),
        ("a:/x/", "a:archive:y", "a:archive:y/"),
        ("a:archive:", "a:/x", "a:/x/"),
        ("a:archive:y/one", "a:/x/", "a:/x/one"),
    ],
)
def test_things_land_on_a_remote_as_they_do_elsewhere(source, destination, arrival):
    assert str(destination_of(place(source), place(destination))) == arrival


def test_a_chain_goes_by_a_path_of_the_remote_s_agent():
    hops = a_plan("a:archive:x/", "a:/archive/", "b:/x/", "b:far:y/", shape="chain").hops
    assert [(hop.route, hop.carrier, hop.agents) for hop in hops] == [
        ("remote", "a", ("a",)),
        ("direct", "b", ("a", "b")),
        ("remote", "b", ("b",)),
    ]


def test_a_remote_that_no_host_offers_is_refused_with_those_that_it_does():
    remotes = (RemoteState(name="archive", access="ro"), RemoteState(name="partner", access="rw"))
    agent = an_agent("b", capabilities=Capabilities(remotes=remotes))
    check_offered(agent, place("b:archive:x"), writing=False)
    check_offered(agent, place("b:partner:x"), writing=True)
    with pytest.raises(RemoteUnknownError) as unknown:
        check_offered(agent, place("b:secret:x"), writing=False)
    assert "archive, partner" in unknown.value.problem.advice
    with pytest.raises(ReadOnlyError) as read_only:
        check_offered(agent, place("b:archive:x"), writing=True)
    assert "partner" in read_only.value.problem.advice
