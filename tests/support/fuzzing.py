"""Settings of tests with generated input, and values that break parsers.

In CI each of these tests runs a fixed number of examples, the same in every run. A campaign by hand runs a
hundred times as many, others in every run:

    pytest --hypothesis-profile=campaign tests/unit/lambdas/api/test_described_answers.py
"""

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

CAMPAIGN = "campaign"
CAMPAIGN_FACTOR = 100

SAMPLES = Path(__file__).parents[2] / "events/samples"


def fuzzed(examples: int, *, shrink: bool = True) -> settings:
    """Return settings for `examples` examples in CI, and for a campaign many more.

    Without `shrink`, a failing example is shown as it was found: making it smaller takes hundreds of tries.
    """
    campaign = settings.get_current_profile_name() == CAMPAIGN
    return settings(
        max_examples=examples * (CAMPAIGN_FACTOR if campaign else 1),
        derandomize=not campaign,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])],
        suppress_health_check=list(HealthCheck),
    )


def samples(kind: str) -> dict[str, Any]:
    """Return the samples of a kind of message, by the names of their files without the suffix."""
    return {file.stem: json.loads(file.read_text()) for file in sorted((SAMPLES / kind).glob("*.json"))}


HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, -0.0, 0.1,
    "", " ", "\0", "\n", "\x1b[2J", "\ud800", "\udcff", "\u202e", "\u2028", "é", "e\u0301", "x" * 300,
    "é" * 5000, ".", "..", "/", "//", "/..", "/data/../etc/", "/data/", "s3://", "s3://media/", "server-b:",
    "server-b:/data/\n", "*", "**/" * 40, "[", "{a,{b,c}}", "%2e%2e%2f", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-14:00", "2026-11-29", "-1", "1e3", "NaN", "null",
    "__proto__", "$ref",
    [], {}, [None], [[]], [{}], {"": ""}, {"kind": "Move"}, ["a"] * 300,
)  # fmt: skip
"""Values that belong in no field, or at the end of what one takes."""

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
flat = st.lists(scalars, max_size=4) | st.dictionaries(st.text(max_size=5), scalars, max_size=4)
values = st.sampled_from(HOSTILE) | scalars | flat | st.lists(flat, max_size=3)


def places(message: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a message, from its outermost to its innermost ones."""
    found = [above] if above else []
    inside = (
        message.items()
        if isinstance(message, dict)
        else enumerate(message)
        if isinstance(message, list)
        else ()
    )
    for key, value in inside:
        found += places(value, (*above, key))
    return found


def replaced(message: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of the message with another value at this place."""
    if not place:
        return value
    first, *rest = place
    copied = dict(message) if isinstance(message, dict) else list(message)
    copied[first] = replaced(copied[first], tuple(rest), value)
    return copied


def removed(message: Any, place: tuple[Any, ...]) -> Any:
    """Return a copy of the message without the value at this place."""
    *above, last = place
    holder = message
    for key in above:
        holder = holder[key]
    left = (
        {key: value for key, value in holder.items() if key != last}
        if isinstance(holder, dict)
        else [value for number, value in enumerate(holder) if number != last]
    )
    return replaced(message, tuple(above), left)


@st.composite
def altered(draw: st.DrawFn, known: list[Any], changes: int = 2) -> Any:
    """Draw one of the messages with up to `changes` of its values, at any depth, replaced or removed."""
    message = draw(st.sampled_from(known))
    for _ in range(draw(st.integers(1, changes))):
        found = places(message)
        if not found:
            break
        place = draw(st.sampled_from(found))
        if draw(st.booleans()) and draw(st.booleans()):
            message = removed(message, place)
        else:
            others = [value for value in map(draw_from(message), found) if value is not message]
            message = replaced(message, place, draw(values | st.sampled_from(others) if others else values))
    return message


def draw_from(message: Any) -> Any:
    """Return a function from a place in the message to the value there."""

    def value_at(place: tuple[Any, ...]) -> Any:
        value = message
        for key in place:
            value = value[key]
        return value

    return value_at


_PIECES = (b"\0", b"\xff", b"\n", b"\r\n", b'"', b"\\", b"[", b"]", b"{", b"}", b",", b":", b"-", b"/",
    b"..", b"[" * 5000, b"{\"a\":" * 5000, b"9" * 5000, b"A" * 70_000, b"\\ud800",
    b"1e999", b"NaN", b"null")  # fmt: skip
"""What a mutation inserts into bytes."""


def as_json(message: Any) -> bytes:
    """Return the message as JSON, with whatever JSON cannot say about it left to Python's own dialect."""
    return json.dumps(message).encode()


def _message_in(content: bytes) -> Any:
    """Return the JSON in these bytes; None if it is none, or one that Python's own parser cannot read."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Draw one of the inputs with a few of its bytes replaced, removed, repeated or joined by others.

    JSON is changed as a message at first, mostly: few changes of bytes leave it JSON.
    """
    content = draw(st.sampled_from(seeds))
    message = _message_in(content)
    if message is not None and draw(st.integers(0, 3)):
        content = as_json(draw(altered([message])))
        if draw(st.booleans()):
            return content
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 64)) | st.just(len(content)))
        new = draw(st.sampled_from(_PIECES) | st.binary(max_size=8) | st.just(content[start:end] * 2))
        content = content[:start] + new + content[end:]
    return content
