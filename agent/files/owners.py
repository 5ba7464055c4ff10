"""Owners of files, between hosts that may number users and groups differently.

A user or group is matched by name if both hosts know the name, otherwise by number, like in rsync; root is
always root. Only root, or a process with CAP_CHOWN, may change owners, see capabilities(7).
"""

import grp
import os
import pwd
from functools import lru_cache
from typing import NamedTuple

from agent.errors import HopError
from agent.problems import OWNER_NOT_ALLOWED

_CAP_CHOWN = 1 << 0
MAX_CACHED_NAMES = 4096
"""Names that are cached until the next hop begins."""


class Owner(NamedTuple):
    """User and group of a file on the source's host."""

    user_id: int
    group_id: int
    user: str = ""
    """Empty if that host knows no name."""
    group: str = ""


def owner_of(found: os.stat_result) -> Owner:
    """Return the owner in a file's status."""
    return Owner(found.st_uid, found.st_gid, _user(found.st_uid), _group(found.st_gid))


def local_ids(owner: Owner, *, by_name: bool) -> tuple[int, int]:
    """Return the numbers of user and group on this host."""
    if not by_name:
        return owner.user_id, owner.group_id
    user = _user_id(owner.user) if owner.user and owner.user_id else None
    group = _group_id(owner.group) if owner.group and owner.group_id else None
    return owner.user_id if user is None else user, owner.group_id if group is None else group


def require_chown(location: str) -> None:
    """Raise HopError if this process may not change owners; also clear the cached names, for a new hop."""
    for cached in (_user, _group, _user_id, _group_id):
        cached.cache_clear()
    if not can_chown():
        raise HopError(OWNER_NOT_ALLOWED.problem(destination=location))


def can_chown() -> bool:
    """Return whether this process has CAP_CHOWN."""
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
