"""Which files of a source are meant: rclone's glob patterns, https://rclone.org/filtering/.

    *.mov          any file of that kind, wherever it lies
    /raw/*.mov     only directly in raw, directly below the source
    proxies/       everything in any directory of that name
    /2026/**       everything below 2026, directly below the source
    *.{mov,mxf}    either kind

`*` and `?` stand for anything but a slash, `**` for anything, `[a-z]` for one of these, `{a,b}` for either,
and `\\` takes the next character as it is. A file is meant if it matches an include (or there are none) and
no exclude.
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from events.globs import MAX_PATTERN_LENGTH, GlobAutomaton, GlobError, parse

MAX_PATTERNS = 100
"""In each of the two lists."""
MAX_FILTER_LENGTH = 8192
"""Characters of all patterns of one transfer."""
_WILDCARDS = frozenset("*?[{\\")
_INCLUDED = 1


def _clean_glob(pattern: str) -> str:
    """As it is, if it means something; ValueError says what is wrong with it."""
    parse(pattern)
    return pattern


Glob = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_PATTERN_LENGTH), AfterValidator(_clean_glob)
]
Globs = Annotated[tuple[Glob, ...], Field(max_length=MAX_PATTERNS)]


class Filters:
    """Include and exclude patterns, put to use."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        """Raises GlobError for a pattern that means nothing, and for patterns that cost too much."""
        self.include = tuple(include)
        self.exclude = tuple(exclude)
        _check_limits(self.include, self.exclude)
        self._files = GlobAutomaton(self.include, self.exclude)
        self._leads = [_lead(pattern) for pattern in self.include]
        whole = [folder for folder in map(_folder, self.exclude) if folder]
        self._whole = GlobAutomaton(whole) if whole else None

    def __bool__(self) -> bool:
        """Is anything left out?"""
        return bool(self.include or self.exclude)

    def takes(self, path: str) -> bool:
        """Is this file meant? `path` is relative to the source."""
        matching = self._files.matching(path)
        return matching == _INCLUDED if self.include else not matching

    def enters(self, path: str) -> bool:
        """May there be anything in this directory that is meant?"""
        if self._whole and self._whole.matching(path):
            return False
        names = path.split("/")
        return not self._leads or any(_agree(lead, names) for lead in self._leads)


def _check_limits(include: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    if max(len(include), len(exclude)) > MAX_PATTERNS:
        raise GlobError(
            f"there are more than {MAX_PATTERNS} patterns of a kind: use fewer, or several transfers"
        )
    if sum(map(len, (*include, *exclude))) > MAX_FILTER_LENGTH:
        raise GlobError(
            f"the patterns have more than {MAX_FILTER_LENGTH:,} characters in all: use fewer or shorter "
            "ones, or several transfers"
        )


def _folder(pattern: str) -> str | None:
    """The directories of which a pattern leaves out everything, as a pattern; None if there are none."""
    body = pattern + "**" if pattern.endswith("/") else pattern
    head = body.removesuffix("/**")
    is_escaped = (len(head) - len(head.rstrip("\\"))) % 2 == 1
    return head if head != body and head.strip("/") and not is_escaped else None


def _lead(pattern: str) -> list[str]:
    """The directories that a pattern names in so many words, from the top down."""
    if not pattern.startswith("/"):
        return []
    names = pattern[1:].split("/")[:-1]
    plain = next((depth for depth, name in enumerate(names) if not _WILDCARDS.isdisjoint(name)), len(names))
    return names[:plain]


def _agree(lead: list[str], names: list[str]) -> bool:
    depth = min(len(lead), len(names))
    return lead[:depth] == names[:depth]
