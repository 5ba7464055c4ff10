"""What happens in one run of the campaign, derived from its seed alone."""

import random
from dataclasses import dataclass
from typing import Any, Literal

MIB = 1024 * 1024
AGENTS = ("server-b", "server-c", "server-d")
Fault = Literal[
    "kill",
    "restart",
    "freeze",
    "kill rclone",
    "cut line",
    "stall line",
    "freeze cloud",
    "damage state",
    "pause",
]
FAULTS: tuple[Fault, ...] = (
    "kill", "kill", "restart", "freeze", "kill rclone", "cut line", "cut line", "stall line", "freeze cloud",
    "damage state", "pause",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One transfer: a tree of its own, from one root to others."""

    tree_seed: int
    source: str
    destinations: tuple[str, ...]
    shape: Literal["fan_out", "chain"]
    options: dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One fault, some time after the one before it, and its end some time later."""

    fault: Fault
    agent: str
    after_s: float
    lasts_s: float
    noise: int
    """Seed of what is random inside the fault."""


@dataclass(frozen=True)
class Schedule:
    """The transfers and faults of one seed."""

    seed: int
    requests: tuple[Request, ...]
    events: tuple[Event, ...]

    @classmethod
    def of(cls, seed: int) -> "Schedule":
        dice = random.Random(seed)
        requests = tuple(_request(dice) for _ in range(dice.randrange(1, 4)))
        events = tuple(_event(dice) for _ in range(dice.randrange(1, 5)))
        return cls(seed, requests, events)


ROOTS = {"server-b": "/data", "server-c": "/archive", "server-d": "/backup"}


def _request(dice: random.Random) -> Request:
    source, *others = dice.sample(AGENTS, 3)
    shape: Literal["fan_out", "chain"] = dice.choice(("fan_out", "chain"))
    options: dict[str, Any] = {
        "streams": dice.choice((1, 2, 4)),
        "bandwidth_limit": dice.choice((2 * MIB, 4 * MIB, 16 * MIB)),
        "verify": dice.choice(("transfer", "transfer", "reread")),
    }
    destinations = tuple(others[: dice.choice((1, 1, 2))])
    if len(destinations) == 1:
        shape = "fan_out"
        if extra := dice.choice((None, None, "move", "delete_extra")):
            options[extra] = True
    return Request(dice.randrange(2**32), source, destinations, shape, options)


def _event(dice: random.Random) -> Event:
    return Event(
        dice.choice(FAULTS),
        dice.choice(AGENTS),
        dice.uniform(0.05, 1.5),
        dice.choice((0.1, 0.5, 1.5)),
        dice.randrange(2**32),
    )
