"""What happens in one run of the campaign, derived from its seed alone."""

import random
from dataclasses import dataclass, replace
from typing import Any, Literal

MIB = 1024 * 1024
ROOTS = {"b": "/data", "c": "/archive", "d": "/backup"}
"""Servers of a team, and the root of each.

The disk of `c` is small, and so is the disk with the state of `d`; `b` has a remote.
"""
S3, REMOTE = "s3", "remote"
Fault = Literal[
    "kill",
    "restart",
    "freeze",
    "kill rclone",
    "cut line",
    "stall line",
    "cut all lines",
    "freeze cloud",
    "damage state",
    "damage database",
    "pause",
    "full disk",
    "no inodes",
    "skew clock",
    "disturb messages",
    "throttle",
    "revoke",
    "kill in rotation",
    "update",
    "full state disk",
]
FAULTS: tuple[Fault, ...] = (
    "kill", "kill", "restart", "freeze", "kill rclone", "kill rclone", "cut line", "cut line", "stall line",
    "cut all lines", "freeze cloud", "damage state", "damage database", "pause", "full disk", "no inodes",
    "skew clock", "disturb messages", "disturb messages", "throttle", "revoke", "kill in rotation",
)  # fmt: skip
ADDED: tuple[Fault, ...] = ("update", "full state disk")
ADDED_SHARE = 0.1
"""Share of the seeds with each of these. They are drawn last: older seeds keep the rest of their schedule."""


@dataclass(frozen=True)
class PlannedTransfer:
    """One transfer: a tree of its own, from one place to others.

    A place is a server of the team, S3, or the remote of `b`.
    """

    tree_seed: int
    source: str
    destinations: tuple[str, ...]
    shape: Literal["fan_out", "chain"]
    options: dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One fault, some time after the one before it, and its end some time later."""

    fault: Fault
    server: str
    after_s: float
    lasts_s: float
    noise: int
    """Seed of what is random inside the fault."""


@dataclass(frozen=True)
class Schedule:
    """The transfers and faults of one seed."""

    seed: int
    requests: tuple[PlannedTransfer, ...]
    events: tuple[Event, ...]

    @classmethod
    def of(cls, seed: int) -> "Schedule":
        dice = random.Random(seed)
        requests = tuple(_request(dice) for _ in range(dice.randrange(1, 4)))
        events = [_event(dice) for _ in range(dice.randrange(1, 5))]
        for fault in ADDED:
            if dice.random() < ADDED_SHARE:
                events.insert(dice.randrange(len(events) + 1), replace(_event(dice), fault=fault))
        return cls(seed, requests, tuple(events))


def _request(dice: random.Random) -> PlannedTransfer:
    source, *others = dice.sample(tuple(ROOTS), 3)
    options: dict[str, Any] = {
        "streams": dice.choice((1, 2, 4)),
        "bandwidth_limit": dice.choice((MIB, 4 * MIB, 16 * MIB)),
        "verify": dice.choice(("transfer", "transfer", "reread")),
        "relay": dice.choice(("never", "allowed")),
    }
    tree_seed = dice.randrange(2**32)
    shape: Literal["fan_out", "chain"] = "fan_out"
    match dice.choice(("lane", "lane", "lane", "fan out", "chain", "chain", "s3", "s3", "remote", "remote")):
        case "lane":
            destinations: tuple[str, ...] = (others[0],)
            if extra := dice.choice((None, "move", "delete_extra", "dry_run")):
                options[extra] = True
        case "fan out":
            destinations = tuple(others)
        case "chain":
            shape, destinations = "chain", tuple(others)
        case "s3":
            shape, (source, *ends) = _shaped(
                dice, (S3, others[0]), (source, S3), (S3, *others), (source, S3, others[0])
            )
            destinations = tuple(ends)
        case _:
            shape, (source, *ends) = _shaped(
                dice, (REMOTE, "b"), ("b", REMOTE), (REMOTE, "b", "c"), ("d", "b", REMOTE)
            )
            destinations = tuple(ends)
    return PlannedTransfer(tree_seed, source, destinations, shape, options)


def _shaped(
    dice: random.Random, *routes: tuple[str, ...]
) -> tuple[Literal["fan_out", "chain"], tuple[str, ...]]:
    route = dice.choice(routes)
    return "chain" if len(route) > 2 else "fan_out", route


def _event(dice: random.Random) -> Event:
    return Event(
        dice.choice(FAULTS),
        dice.choice(tuple(ROOTS)),
        dice.uniform(0.05, 1.5),
        dice.choice((0.1, 0.5, 1.5)),
        dice.randrange(2**32),
    )
