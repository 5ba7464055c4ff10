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

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

MAX_PATTERNS = 100

_TOKEN = re.compile(
    r"(?P<escaped>\\.)|(?P<stars>\*+)|(?P<any>\?)|(?P<set>\[!?\^?\]?[^\]/]*\])|(?P<other>.)", re.DOTALL
)
_WILD = re.compile(r"[*?\[{\\]")


def _clean_glob(pattern: str) -> str:
    """As it is, if it means something; ValueError says what is wrong with it."""
    _compiled(pattern)
    return pattern


Glob = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_clean_glob)]
Globs = Annotated[tuple[Glob, ...], Field(max_length=MAX_PATTERNS)]


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """What a whole path has to match. A pattern that ends in a slash means all below."""
    if "\0" in pattern:
        raise ValueError(f"{pattern!r} has a NUL character in it")
    anchored, body = pattern.startswith("/"), pattern.removeprefix("/")
    if not body.strip("/"):
        raise ValueError(f"{pattern!r} names nothing: write ** for everything")
    body += "**" if body.endswith("/") else ""
    start = "" if anchored else "(?:.*/)?"
    try:
        return re.compile(start + _translated(pattern, body), re.DOTALL)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no pattern: {error}") from error


def _translated(pattern: str, body: str) -> str:
    words, depth = [], 0
    for token in _TOKEN.finditer(body):
        text = token.group()
        match token.lastgroup:
            case "escaped":
                words.append(re.escape(text[1]))
            case "stars" if len(text) > 2:
                raise ValueError(f"{pattern!r} has more than two stars in a row")
            case "stars":
                words.append(".*" if len(text) == 2 else "[^/]*")
            case "any":
                words.append("[^/]")
            case "set":
                words.append(_set(text))
            case _:
                word, depth = _brace(pattern, text, depth)
                words.append(word)
    if depth:
        raise ValueError(f"{pattern!r} has a {{ without its }}")
    return "".join(words)


def _set(text: str) -> str:
    inner = text[1:-1]
    negated = inner[:1] in {"!", "^"}
    plain = (inner[1:] if negated else inner).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return f"[^{plain}/]" if negated else f"[{plain}]"


def _brace(pattern: str, text: str, depth: int) -> tuple[str, int]:
    if text == "{":
        if depth:
            raise ValueError(f"{pattern!r} has a {{ in a {{")
        return "(?:", 1
    if depth and text in "},":
        return (")", 0) if text == "}" else ("|", 1)
    if text in "}[]\\":
        raise ValueError(f"{pattern!r} has a {text} that stands alone: write \\{text}")
    return re.escape(text), depth


class Filters:
    """Include and exclude patterns, put to use."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self.include = tuple(include)
        self.exclude = tuple(exclude)
        self._taken = _one_of(self.include)
        self._left = _one_of(self.exclude)
        self._leads = [_lead(pattern) for pattern in self.include]
        self._whole = _one_of(_folder(pattern) for pattern in self.exclude)

    def __bool__(self) -> bool:
        """Is anything left out?"""
        return bool(self.include or self.exclude)

    def takes(self, path: str) -> bool:
        """Is this file meant? `path` is relative to the source."""
        if self._taken and not self._taken.fullmatch(path):
            return False
        return not (self._left and self._left.fullmatch(path))

    def enters(self, path: str) -> bool:
        """May there be anything in this directory that is meant?"""
        if self._whole and self._whole.fullmatch(path):
            return False
        names = path.split("/")
        return not self._leads or any(_agree(lead, names) for lead in self._leads)


def _one_of(patterns: Iterable[str | None]) -> re.Pattern[str] | None:
    found = [f"(?:{_compiled(pattern).pattern})" for pattern in patterns if pattern]
    return re.compile("|".join(found), re.DOTALL) if found else None


def _folder(pattern: str) -> str | None:
    """The directories of which a pattern leaves out everything, as a pattern; None if there are none."""
    body = pattern + "**" if pattern.endswith("/") else pattern
    head = body.removesuffix("/**")
    return head if head != body and head.strip("/") else None


def _lead(pattern: str) -> list[str]:
    """The directories that a pattern names in so many words, from the top down."""
    if not pattern.startswith("/"):
        return []
    names = pattern[1:].split("/")[:-1]
    plain = next((depth for depth, name in enumerate(names) if _WILD.search(name)), len(names))
    return names[:plain]


def _agree(lead: list[str], names: list[str]) -> bool:
    depth = min(len(lead), len(names))
    return lead[:depth] == names[:depth]
