"""Match paths against rclone's glob patterns in time linear in the path's length.

Patterns and file names are untrusted, so nothing here backtracks. Each pattern becomes a sequence of
positions of an NFA. All positions that a path can have reached are the bits of one integer, and one
character advances them all by a few operations on it. The sets of positions that occur are cached as states
of a DFA that is built lazily (as RE2 does): a cached character costs one dictionary look-up.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, product
from math import prod
from operator import xor
from typing import Any, NamedTuple

MAX_PATTERN_LENGTH = 1024
"""Maximum number of characters in one pattern."""
MAX_STARS = 32
"""Maximum number of stars in one pattern; `**` counts as one."""
MAX_VARIANTS = 256
"""Maximum number of expansions of the braces in one pattern: `{a,b}{c,d}` has four."""
MAX_PATTERN_POSITIONS = 2048
"""Maximum number of characters and wildcards in all expansions of one pattern."""
MAX_POSITIONS = 8192
"""Maximum number of characters and wildcards in all expansions of all patterns of one automaton."""
MAX_CACHED_TRANSITIONS = 16_384
"""Maximum number of transitions that one automaton caches before it clears the cache."""

MAX_BUILT_PER_PATH = 256
"""Maximum number of transitions that one path adds: enough for ordinary names, too few for an attack."""

_LAST = 0x10FFFF
_SLASH = ord("/")


class GlobError(ValueError):
    """A pattern is invalid or too complex; the text says which one, why, and what to write instead."""


class _Wildcard(NamedTuple):
    """Any number of characters; `deep` ones include slashes."""

    deep: bool


class _Characters(NamedTuple):
    """One character out of these ranges, which are sorted and do not touch."""

    ranges: tuple[tuple[int, int], ...]


_Token = _Wildcard | _Characters
_STAR, _DOUBLE_STAR = _Wildcard(deep=False), _Wildcard(deep=True)
_NOT_SLASH = _Characters(((0, _SLASH - 1), (_SLASH + 1, _LAST)))


class Glob(NamedTuple):
    """A parsed pattern."""

    anchored: bool
    variants: tuple[tuple[_Token, ...], ...]

    @property
    def positions(self) -> int:
        return sum(len(variant) + 1 for variant in self.variants)


@lru_cache(maxsize=256)
def parse(pattern: str) -> Glob:
    """Return what a whole path has to match. A pattern that ends in a slash means everything below.

    Raises:
        GlobError: the pattern is invalid, or exceeds a limit.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise GlobError(f"{_short(pattern)} is longer than {MAX_PATTERN_LENGTH:,} characters")
    if "\0" in pattern:
        raise GlobError(f"{_short(pattern)} has a NUL character in it")
    anchored, body = pattern.startswith("/"), pattern.removeprefix("/")
    if not body.strip("/"):
        raise GlobError(f"{_short(pattern)} matches nothing: write ** for everything")
    parts = _Parser(pattern, body + "**" if body.endswith("/") else body).parts()
    return Glob(anchored, tuple(_expanded(pattern, parts)))


class _Parser:
    """Reads a pattern once, from left to right."""

    def __init__(self, pattern: str, body: str) -> None:
        self._pattern = pattern
        self._body = body
        self._at = 0
        self._stars = 0

    def parts(self) -> list[list[list[_Token]]]:
        """Return the pattern's parts, in order; each is a list of alternatives."""
        parts: list[list[list[_Token]]] = [[[]]]
        inside = False
        while self._at < len(self._body):
            letter = self._body[self._at]
            if letter == "{" and not inside:
                parts.append([[]])
                inside = True
            elif letter == "}" and inside:
                parts.append([[]])
                inside = False
            elif letter == "," and inside:
                parts[-1].append([])
            else:
                parts[-1][-1].append(self._token(letter, inside=inside))
                continue
            self._at += 1
        if inside:
            raise self._error("has a { without its }")
        return parts

    def _token(self, letter: str, *, inside: bool) -> _Token:
        match letter:
            case "*":
                return self._wildcard()
            case "?":
                self._at += 1
                return _NOT_SLASH
            case "[" if (found := self._set()) is not None:
                return found
            case "\\" if self._at + 1 < len(self._body):
                self._at += 2
                return _one(self._body[self._at - 1])
            case "{" if inside:
                raise self._error("has nested braces, which are not supported")
            case "[" | "]" | "{" | "}" | "\\":
                raise self._error(f"has an unmatched {letter}: write \\{letter}")
        self._at += 1
        return _one(letter)

    def _wildcard(self) -> _Token:
        start = self._at
        while self._body[self._at : self._at + 1] == "*":
            self._at += 1
        self._stars += 1
        if self._at - start > 2:
            raise self._error("has more than two stars in a row")
        if self._stars > MAX_STARS:
            raise self._error(f"has more than {MAX_STARS} stars: split it into several patterns")
        return _DOUBLE_STAR if self._at - start == 2 else _STAR

    def _set(self) -> _Characters | None:
        """Read `[a-z]`, `[!x]` or `[^x]`; return None if the bracket is not closed before a slash."""
        body, at = self._body, self._at + 1
        negated = body[at : at + 1] in ("!", "^")
        at += negated
        letters: list[tuple[str, bool]] = []
        while body[at : at + 1] != "]" or not letters:
            escaped = body[at : at + 1] == "\\"
            at += escaped
            if at >= len(body) or body[at] == "/":
                return None
            letters.append((body[at], escaped))
            at += 1
        self._at = at + 1
        ranges = _without_slash(_merged(self._ranges(letters)))
        return _Characters(_without_slash(_complement(ranges)) if negated else ranges)

    def _ranges(self, letters: Sequence[tuple[str, bool]]) -> Iterable[tuple[int, int]]:
        at = 0
        while at < len(letters):
            first = last = letters[at][0]
            if at + 2 < len(letters) and letters[at + 1] == ("-", False):
                last = letters[at + 2][0]
                at += 2
            at += 1
            if first > last:
                raise self._error(f"has a range that ends before it begins: {first}-{last}")
            yield ord(first), ord(last)

    def _error(self, reason: str) -> GlobError:
        return GlobError(f"{_short(self._pattern)} {reason}")


def _one(letter: str) -> _Characters:
    return _Characters(((ord(letter), ord(letter)),))


def _merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _complement(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    edges = [-1, *(edge for one in ranges for edge in one), _LAST + 1]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return tuple((before + 1, after - 1) for before, after in pairs if before + 1 < after)


def _without_slash(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the ranges without the slash, which no set matches."""
    split = [
        part
        for first, last in ranges
        for part in (((first, min(last, _SLASH - 1)), (max(first, _SLASH + 1), last)))
    ]
    return _merged(part for part in split if part[0] <= part[1])


def _expanded(pattern: str, parts: Sequence[Sequence[Sequence[_Token]]]) -> Iterable[tuple[_Token, ...]]:
    """Yield the pattern's expansions, without braces."""
    variants = prod(len(alternatives) for alternatives in parts)
    if variants > MAX_VARIANTS:
        raise GlobError(
            f"{_short(pattern)} stands for {variants:,} patterns, {MAX_VARIANTS} are the limit: write [0-9] "
            "instead of {0,1,2,…}, or split it into several patterns"
        )
    positions = 0
    for chosen in product(*parts):
        variant = _simplified(token for alternative in chosen for token in alternative)
        positions += len(variant) + 1
        if positions > MAX_PATTERN_POSITIONS:
            raise GlobError(
                f"{_short(pattern)} stands for more than {MAX_PATTERN_POSITIONS:,} characters, all variants "
                "of its braces counted: split it into several patterns"
            )
        yield variant


def _simplified(tokens: Iterable[_Token]) -> tuple[_Token, ...]:
    """Return the tokens with adjacent wildcards merged into an equivalent one."""
    simple: list[_Token] = []
    for token in tokens:
        if simple and isinstance(token, _Wildcard) and isinstance(simple[-1], _Wildcard):
            simple[-1] = _Wildcard(deep=token.deep or simple[-1].deep)
        else:
            simple.append(token)
    return tuple(simple)


def _short(pattern: str) -> str:
    return repr(pattern if len(pattern) <= 80 else f"{pattern[:79]}…")


def _tail(variant: Sequence[_Token]) -> str:
    """Return the literal text with which every matching path ends."""
    tail = ""
    while len(tail) < len(variant) and (letter := _literal(variant[-len(tail) - 1 :][:1])) is not None:
        tail = letter + tail
    return tail


class _Facts(NamedTuple):
    """The positions of a state of the automaton, and what matches there."""

    positions: int
    groups: int
    """A bit for each group of patterns of which one matches here."""


_State = dict[str, Any]
"""Next states by character, and the state's own facts under `_FACTS`. A plain dictionary: looking up a
character takes half as long as in a class of our own."""
_FACTS = ""


class _Plain:
    """The patterns of one group that need no automaton: `*.mov`, `/2026/**`, `proxies/`, `.DS_Store`."""

    def __init__(self) -> None:
        self.ends: tuple[str, ...] = ()
        self.starts: tuple[str, ...] = ()
        self.paths: frozenset[str] = frozenset()
        self.parts: tuple[str, ...] = ()

    def try_add(self, variant: tuple[_Token, ...], *, anchored: bool) -> bool:
        """Add a pattern if it is plain; return whether it was."""
        if not variant:  # no path is empty
            return True
        if variant == (_DOUBLE_STAR,):
            self.starts += ("",)
            return True
        first, last = (isinstance(token, _Wildcard) for token in (variant[:1] + variant[-1:]))
        text = _literal(variant[first : len(variant) - last])
        if text is None or (first and last):
            return False
        if last:
            if variant[-1] != _DOUBLE_STAR:
                return False
            self.starts += (text,)
            self.parts += () if anchored else (f"/{text}",)
        elif first:
            deep = variant[0] == _DOUBLE_STAR
            if not deep and (anchored or "/" in text):
                return False
            self.ends += (text,)
        else:
            self.paths |= {text}
            self.ends += () if anchored else (f"/{text}",)
        return True

    @property
    def kinds(self) -> tuple[tuple[str, ...], tuple[str, ...], frozenset[str], tuple[str, ...]]:
        return self.ends, self.starts, self.paths, self.parts


def _literal(tokens: Iterable[_Token]) -> str | None:
    """Return the only text that the tokens match, None if they match several."""
    letters = []
    for token in tokens:
        if isinstance(token, _Wildcard) or len(token.ranges) != 1 or len(set(token.ranges[0])) != 1:
            return None
        letters.append(chr(token.ranges[0][0]))
    return "".join(letters)


class GlobAutomaton:
    """Several groups of patterns, matched together. Any number of threads may use it."""

    def __init__(self, *groups: Iterable[str]) -> None:
        """Compile the groups of patterns; raise GlobError for an invalid one, or if they are too complex."""
        self.positions = 0
        globs = [(group, self._counted(parse(one))) for group, some in enumerate(groups) for one in some]
        plain = [_Plain() for _ in groups]
        rows = [
            (group, glob.anchored, variant)
            for group, glob in globs
            for variant in glob.variants
            if not plain[group].try_add(variant, anchored=glob.anchored)
        ]
        self.steps = 0
        """Transitions computed so far: at most one for each character of each path."""
        self._begin = self._begin_again = self._stars = self._double_stars = 0
        self._finals = [0] * len(groups)
        self._plain = [(1 << group, *found.kinds) for group, found in enumerate(plain) if any(found.kinds)]
        self._needs_states = bool(rows)
        tails = {_tail(variant) for _, _, variant in rows}
        self._tails = ("",) if "" in tails else tuple(tails)
        self._place(rows)
        self._forget()

    def _counted(self, glob: Glob) -> Glob:
        self.positions += glob.positions
        if self.positions > MAX_POSITIONS:
            raise GlobError(
                f"the patterns stand for more than {MAX_POSITIONS:,} characters in all, all variants of "
                "their braces counted: use fewer or shorter ones, or several transfers"
            )
        return glob

    def _place(self, rows: Iterable[tuple[int, bool, tuple[_Token, ...]]]) -> None:
        """Lay out all variants one after the other, a position before each token and one at the end."""
        at = 0
        places: dict[_Characters, list[int]] = {}
        finals: list[list[int]] = [[] for _ in self._finals]
        begin: list[int] = []
        again: list[int] = []
        stars: list[int] = []
        double_stars: list[int] = []
        for group, anchored, variant in rows:
            begin.append(at)
            if not anchored:
                again.append(at)
            for token in variant:
                if isinstance(token, _Characters):
                    places.setdefault(token, []).append(at)
                else:
                    (double_stars if token.deep else stars).append(at)
                at += 1
            finals[group].append(at)
            at += 1
        self._double_stars = _bits(double_stars)
        self._stars = _bits(stars) | self._double_stars
        self._begin, self._begin_again = self._closed(_bits(begin)), self._closed(_bits(again))
        self._finals = [_bits(places_of_group) for places_of_group in finals]
        toggles: dict[int, int] = {0: 0}
        for characters, positions in places.items():
            bits = _bits(positions)
            for first, last in characters.ranges:
                toggles[first] = toggles.get(first, 0) ^ bits
                toggles[last + 1] = toggles.get(last + 1, 0) ^ bits
        self._edges = sorted(toggles)
        self._accepting = list(accumulate((toggles[edge] for edge in self._edges), xor))
        """The positions that accept a character, by where it lies between the edges."""

    def _forget(self) -> None:
        self._states: dict[int, _State] = {}
        self._kept = 0
        self._start = self._state(self._begin)
        self._directory: tuple[str, _State] = ("", self._start)

    def matching(self, path: str) -> int:
        """Return the groups of which a pattern matches the whole path, as bits: 1, 2, 4 and so on."""
        groups = 0
        for group, ends, starts, paths, parts in self._plain:
            if path.endswith(ends) or path.startswith(starts) or (paths and path in paths):
                groups |= group
                continue
            for part in parts:  # twice as fast as any()
                if part in path:
                    groups |= group
                    break
        if self._needs_states and path.endswith(self._tails):
            return groups | self._by_states(path)
        return groups

    def _by_states(self, path: str) -> int:
        directory, slash, name = path.rpartition("/")
        state = self._start
        if slash:  # names of one directory come one after the other
            known, state = self._directory
            if known != directory:
                state = self._walk(self._start, directory + slash)
                self._directory = (directory, state)
        groups: int = self._walk(state, name)[_FACTS].groups
        return groups

    def _walk(self, start: _State, text: str) -> _State:
        state = start
        try:
            for character in text:
                state = state[character]
        except KeyError:  # met for the first time
            return self._walk_and_build(start, text)
        return state

    def _walk_and_build(self, state: _State, text: str) -> _State:
        built = 0
        for at, character in enumerate(text):
            following = state.get(character)
            if following is None:
                if built == MAX_BUILT_PER_PATH:
                    return self._state(self._moved(state[_FACTS].positions, text[at:]))
                following = self._state(self._moved(state[_FACTS].positions, character))
                state[character] = following
                built += 1
                self._count_kept()
            state = following
        return state

    def _moved(self, positions: int, text: str) -> int:
        """Return the positions after these characters."""
        edges, accepting = self._edges, self._accepting
        stars, double_stars = self._stars, self._double_stars
        for character in text:
            code = ord(character)
            moved = (positions & accepting[bisect_right(edges, code) - 1]) << 1
            if code == _SLASH:
                moved |= positions & double_stars
                positions = moved | (moved & stars) << 1 | self._begin_again
            else:
                moved |= positions & stars
                positions = moved | (moved & stars) << 1
        self.steps += len(text)
        return positions

    def _count_kept(self) -> None:
        self._kept += 1
        if self._kept > MAX_CACHED_TRANSITIONS:
            self._forget()

    def _closed(self, positions: int) -> int:
        """Return the positions and those behind wildcards, which may match nothing; none are adjacent."""
        return positions | (positions & self._stars) << 1

    def _state(self, positions: int) -> _State:
        state = self._states.get(positions)
        if state is None:
            groups = sum(1 << group for group, finals in enumerate(self._finals) if positions & finals)
            state = self._states[positions] = {_FACTS: _Facts(positions, groups)}
        return state


def _bits(positions: Iterable[int]) -> int:
    bits = 0
    for position in positions:
        bits |= 1 << position
    return bits
