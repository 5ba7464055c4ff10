"""What paths tell by their names alone."""

import hashlib
import os
import re

PARTIAL_PREFIX = ".crosshaul-"
"""Prefix of the names of a hop's temporary files."""
MARK_PREFIX = f"{PARTIAL_PREFIX}mark-"
"""Prefix of the names of marker files (`agent.files.same_place`)."""


def mark_prefix(hop_id: str) -> str:
    """Return the prefix of the names of a hop's marker files."""
    return f"{MARK_PREFIX}{hashlib.sha256(hop_id.encode()).hexdigest()[:16]}"


def new_probe(hop_id: str) -> str:
    """Return a new name for a file with which a hop tries what a disk keeps; it is removed at once."""
    return f"{PARTIAL_PREFIX}{hop_id}-{os.urandom(8).hex()}"


def temporary_prefixes(hop_id: str) -> tuple[str, ...]:
    """Return the prefixes of the names of a hop's temporary files, of every kind."""
    return f"{PARTIAL_PREFIX}{hop_id}-", mark_prefix(hop_id)


_OWN_NAME = re.compile(
    re.escape(PARTIAL_PREFIX) + r"(?:mark-[0-9a-f]{32}|[a-z0-9]{20}-[0-9]{1,3}(?:-.*)?)",
    re.DOTALL,
)


def is_own_name(name: str) -> bool:
    """Return whether a hop gives such names to its temporary files; others with the prefix are a user's."""
    return _OWN_NAME.fullmatch(name) is not None


def is_own_path(path: str) -> bool:
    """Return whether a path is, or is inside, a hop's temporary file or directory."""
    return PARTIAL_PREFIX in path and any(map(is_own_name, path.split("/")))


def is_reserved(path: str) -> bool:
    """Return whether a name in a path is reserved for temporary files."""
    return PARTIAL_PREFIX in path and any(name.startswith(PARTIAL_PREFIX) for name in path.split("/"))


_NOT_PORTABLE = re.compile(
    r'[\x00-\x1f<>:"|?*\\\ud800-\udfff]|[. ](?:/|$)|(?:^|/)(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:[./]|$)',
    re.IGNORECASE,
)


def is_portable(path: str) -> bool:
    """Return whether every name in a path is valid UTF-8, and one that Windows allows, too."""
    return _NOT_PORTABLE.search(path) is None


def is_below(path: str, top: str) -> bool:
    """Return whether `path` is the directory `top` or inside it."""
    top = top.rstrip("/")
    return path.rstrip("/") == top or path.startswith(f"{top}/")
