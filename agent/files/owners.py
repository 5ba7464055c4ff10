"""Who a thing belongs to, on a host that may know other people by other numbers.

By name, as rsync has it: a name that both hosts know counts, a number where either knows none; root is root.
capabilities(7): only root, or who has CAP_CHOWN, may give a thing away.
"""

import grp
import os
import pwd
from functools import lru_cache
from typing import NamedTuple

from agent.errors import HopError
from events.base import Problem

_CAP_CHOWN = 1 << 0
MAX_CACHED_NAMES = 4096
"""Names that are remembered until the next hop begins."""


class Owner(NamedTuple):
    """As the source's host has it."""

    user_id: int
    group_id: int
    user: str = ""
    """Empty where that host knows no name."""
    group: str = ""


def owner_of(found: os.stat_result) -> Owner:
    return Owner(found.st_uid, found.st_gid, _user(found.st_uid), _group(found.st_gid))


def local_ids(owner: Owner, *, by_name: bool) -> tuple[int, int]:
    """The numbers of user and group on this host."""
    if not by_name:
        return owner.user_id, owner.group_id
    user = _user_id(owner.user) if owner.user and owner.user_id else None
    group = _group_id(owner.group) if owner.group and owner.group_id else None
    return owner.user_id if user is None else user, owner.group_id if group is None else group


def require_chown(place: str) -> None:
    """A hop that is to give things away begins: HopError if this process may not."""
    for known in (_user, _group, _user_id, _group_id):
        known.cache_clear()
    if not can_chown():
        raise HopError(_not_allowed(place))


def can_chown() -> bool:
    """Has this process the right to?"""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
        found = next((line.split()[1] for line in status if line.startswith("CapEff:")), "0")
    return bool(int(found, 16) & _CAP_CHOWN)


@lru_cache(MAX_CACHED_NAMES)
def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return ""


@lru_cache(MAX_CACHED_NAMES)
def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""


@lru_cache(MAX_CACHED_NAMES)
def _user_id(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


@lru_cache(MAX_CACHED_NAMES)
def _group_id(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        return None


def ownerless_problem(source: str) -> Problem:
    return Problem(
        code="source-too-old",
        message=f"The agent of {source} does not tell whom its files belong to.",
        advice="Update that agent, or leave out --owner.",
    )


def _not_allowed(place: str) -> Problem:
    return Problem(
        code="owner-not-allowed",
        message=f"Things at {place} cannot be given to anyone: its agent has not the right to.",
        advice="Run it as root or give it CAP_CHOWN (docs/guides/agent.md), or leave out --owner.",
    )
