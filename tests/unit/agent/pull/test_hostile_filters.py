"""Patterns and names made to be expensive: no input of a stranger can stall an agent."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.errors import HopError
from agent.pull.mover import selection_of
from agent.rclone.errors import error_lines
from events import globs
from events.commands import Move
from events.filters import MAX_PATTERNS, Filters
from events.globs import GlobAutomaton, GlobError, parse
from events.options import Options
from lambdas.domain.policy_text import _TOKEN
from tests.support.hosts import TRANSFER, Hosts

HOP = f"{TRANSFER}-1"


def hostile_pairs() -> Iterator[tuple[str, str]]:
    """Yield 200 patterns and names on which a backtracking matcher takes minutes or years."""
    random = Random(21)
    for stars in (2, 5, 10, 20, 31):
        for star in ("*", "**"):
            for piece in ("a", "ab", "[ab]", "{a,ab}" if stars < 6 else "a?"):
                for end in ("b", "/b", "c*", "[!a]"):
                    yield f"{star}{piece}" * stars + end, "ab" * 2000
    while True:
        counter = f"*a{'?' * random.randint(8, 200)}" * random.randint(1, 5)
        spread = "/".join(random.choice("ab") for _ in range(2000))
        mixed = "".join(random.choice("ab/") for _ in range(4000))
        yield counter, "".join(random.choice("ab") for _ in range(4000))
        yield "**/" * 15 + "*a" * 10, spread
        yield "{*a,**/b,?}" * 4 + "b" * 10, mixed
        yield "*" + "[a-b]" * 150 + "*" + "[!c-z]" * 10, mixed
        yield (
            "".join(f"[{chr(0x4E00 + 3 * n)}-{chr(0x4E01 + 3 * n)}]*" for n in range(30)),
            "".join(chr(0x4E00 + random.randrange(300)) for _ in range(1300)),
        )


PAIRS = [pair for pair, _ in zip(hostile_pairs(), range(200), strict=False)]


@pytest.mark.parametrize("pattern", dict(PAIRS))
def test_hostile_pattern_takes_linear_time(pattern: str) -> None:
    """Each step is a few operations on one integer, of at most `MAX_POSITIONS` bits."""
    name = dict(PAIRS)[pattern]
    automaton = GlobAutomaton([pattern])
    automaton.matching(name)
    assert automaton.positions <= globs.MAX_PATTERN_POSITIONS
    assert automaton.steps <= len(name)
    automaton.matching(name[::-1])
    assert automaton.steps <= 2 * len(name)


def test_matcher_cache_is_bounded() -> None:
    """A counter of twenty characters has a million states."""
    random = Random(7)
    automaton = GlobAutomaton(["*a" + "?" * 20, "**b" + "?" * 30])
    for _ in range(100):
        name = "".join(random.choice("ab") for _ in range(250))
        expected = (name[-21] == "a") | (name[-31] == "b")
        assert bool(automaton.matching(name)) == expected
    assert automaton.steps > globs.MAX_CACHED_TRANSITIONS
    assert automaton._kept <= globs.MAX_CACHED_TRANSITIONS


@settings(max_examples=200, deadline=None)
@example(some=["a\\/"], names=["a/b", "a"])
@example(some=["a\\\\/**", "{,a}"], names=["a\\/b", "a"])
@given(
    some=st.lists(st.text("ab*?[]{},!/\\.é-", min_size=1, max_size=12), min_size=1, max_size=4),
    names=st.lists(st.text("ab/.é\udcff", min_size=1, max_size=20), max_size=20),
)
def test_combined_patterns_match_like_single_ones(some: list[str], names: list[str]) -> None:
    patterns = []
    for one in some:
        try:
            parse(one)
        except GlobError:
            continue
        patterns.append(one)
    together = Filters(exclude=patterns)
    for name in names:
        by_itself = any(not Filters(exclude=[pattern]).matches(name) for pattern in patterns)
        assert together.matches(name) != by_itself
    backwards = GlobAutomaton(patterns)
    for name in reversed(names):  # whatever was met before
        assert bool(backwards.matching(name)) != together.matches(name)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("*a" * 33, "more than 32 stars"),
        ("{a,b}" * 9, "stands for 512 patterns, 256 are the limit"),
        ("{a,b}" * 7 + "x" * 500, "more than 2,048 characters"),
        ("x" * 1025, "longer than 1,024 characters"),
        ("{" + ",".join("ab" * 150) + "}", "stands for 300 patterns"),
    ],
)
def test_pattern_beyond_a_limit_is_rejected_with_the_limit(pattern: str, why: str) -> None:
    with pytest.raises(GlobError, match=why):
        parse(pattern)


@pytest.mark.parametrize(
    "patterns",
    [["x" * 900] * 10, ["a"] * (MAX_PATTERNS + 1), ["{a,b}" * 7] * 9],
    ids=["long", "many", "variants"],
)
def test_too_many_patterns_are_rejected_when_used(patterns: list[str], order: Move) -> None:
    with pytest.raises(GlobError):
        Filters(exclude=patterns)
    with pytest.raises(HopError) as failed:
        selection_of(with_filters(order, exclude=patterns))
    assert failed.value.problem.code == "filter-refused"
    assert failed.value.problem.advice


@pytest.mark.parametrize("pattern", ["{a,{b}}", "a***", "*a" * 33, "\0", "", "x" * 4000])
def test_command_with_invalid_filter_is_stored_and_its_hop_fails(order: Move, pattern: str) -> None:
    """Older versions accepted some of these: journals and tables that contain them must stay readable."""
    kept = Move.model_validate_json(with_filters(order, include=[pattern]).model_dump_json())
    assert kept.options.include == (pattern,)
    with pytest.raises(HopError) as failed:
        selection_of(kept)
    assert failed.value.problem.code == "filter-refused"
    assert not failed.value.problem.retryable


def test_source_refuses_to_serve_with_an_invalid_filter(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    try:
        with pytest.raises(HopError) as failed:
            hosts.serve(HOP, "/data/", Options.model_construct(include=("{a,{b}}",)))
        assert failed.value.problem.code == "filter-refused"
        assert hosts.server.grants.get(HOP) is None
    finally:
        hosts.close()


@pytest.mark.parametrize("piece", ["a?", "a?b", "://", "://a", "'?", "=?="])
def test_long_names_and_texts_are_read_once(piece: str) -> None:
    """A text of four million characters would take a day if it were read again from each position."""
    told = json.dumps({"level": "error", "msg": piece * (4_000_000 // len(piece))})
    assert len(list(error_lines([told.encode()]))) == 1
    assert len(list(_TOKEN.finditer('"\\' * 2_000_000))) == 1


def with_filters(order: Move, **filters: list[str]) -> Move:
    fields = json.loads(order.model_dump_json())
    fields["options"] |= filters
    return Move.model_validate(fields)


@pytest.fixture
def order() -> Move:
    return Move.model_validate(
        {
            "transfer_id": "a" * 20,
            "hop_id": "a" * 20 + "-0",
            "attempt": 1,
            "source": {"kind": "agent", "agent_id": "server-a", "path": "/data/in/"},
            "destination": {"kind": "agent", "agent_id": "server-a", "path": "/data/out/"},
            "route": {"kind": "local"},
        }
    )
