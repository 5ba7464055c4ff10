"""Select files of a source by rclone's glob patterns, https://rclone.org/filtering/.

    *.mov          any file of that kind, in any directory
    /raw/*.mov     only directly in raw, directly below the source
    proxies/       everything in any directory of that name
    /2026/**       everything below 2026, directly below the source
    *.{mov,mxf}    either kind

`*` and `?` match anything but a slash, `**` anything, `[a-z]` one of these, `{a,b}` either, and `\\` the next
character literally. A file is selected if it matches an include (or there are none) and no exclude.
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from events.globs import MAX_PATTERN_LENGTH, GlobAutomaton, GlobError, parse

MAX_PATTERNS = 100
"""Maximum number of patterns in each of the two lists."""
MAX_FILTER_LENGTH = 8192
"""Maximum number of characters in all patterns of one transfer."""
_WILDCARDS = frozenset("*?[{\\")
_INCLUDED = 1


def _clean_glob(pattern: str) -> str:
    """Return the pattern if it is valid; raise ValueError otherwise."""
    parse(pattern)
    return pattern


Glob = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_PATTERN_LENGTH), AfterValidator(_clean_glob)
]
Globs = Annotated[tuple[Glob, ...], Field(max_length=MAX_PATTERNS)]


class Filters:
    """Compiled include and exclude patterns."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        """Compile the patterns; raise GlobError for an invalid one, or if they are too complex."""
        self.include = tuple(include)
        self.exclude = tuple(exclude)
        _check_limits(self.include, self.exclude)
        self._files = GlobAutomaton(self.include, self.exclude)
        self._leads = [_lead(pattern) for pattern in self.include]
        whole = [folder for folder in map(_folder, self.exclude) if folder]
        self._whole = GlobAutomaton(whole) if whole else None

    def __bool__(self) -> bool:
        """Return whether there are any patterns."""
        return bool(self.include or self.exclude)

    def matches(self, path: str) -> bool:
        """Return whether a file is selected; `path` is relative to the source."""
        matching = self._files.matching(path)
        return matching == _INCLUDED if self.include else not matching

    def may_match_below(self, path: str) -> bool:
        """Return whether a directory may contain selected files; `path` is relative to the source."""
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
    """Return the pattern of directories that an exclude pattern covers completely, or None."""
    body = pattern + "**" if pattern.endswith("/") else pattern
    head = body.removesuffix("/**")
    is_escaped = (len(head) - len(head.rstrip("\\"))) % 2 == 1
    return head if head != body and head.strip("/") and not is_escaped else None


def _lead(pattern: str) -> list[str]:
    """Return the leading directories that a pattern names without wildcards, from the top down."""
    if not pattern.startswith("/"):
        return []
    names = pattern[1:].split("/")[:-1]
    plain = next((depth for depth, name in enumerate(names) if not _WILDCARDS.isdisjoint(name)), len(names))
    return names[:plain]


def _agree(lead: list[str], names: list[str]) -> bool:
    depth = min(len(lead), len(names))
    return lead[:depth] == names[:depth]
