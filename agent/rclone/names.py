"""Translate paths between this agent and rclone, which writes some characters in other ways.

rclone's standard encoding shows control characters as their symbols, the names `.` and `..` in full-width
dots, and puts U+201B before a character that is meant as it is: https://rclone.org/overview/#encoding.
"""

import re

QUOTE = "‛"
_SYMBOLS = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "␡"}
_DOTS = {".": "．", "..": "．．", "．": f"{QUOTE}．", "．．": f"{QUOTE}．{QUOTE}．"}
_LITERAL = {*_SYMBOLS.values(), "／", QUOTE}
_ENCODED = _SYMBOLS | {char: QUOTE + char for char in _LITERAL}
_DECODED = {encoded: char for char, encoded in _ENCODED.items()}
_TO_ENCODE = re.compile("[" + re.escape("".join(_ENCODED)) + "]")
_TO_DECODE = re.compile(f"{QUOTE}?[{re.escape(''.join(_LITERAL))}]")
_DECODED_DOTS = {encoded: name for name, encoded in _DOTS.items()}
REPLACEMENT = "\ufffd"
"""What rclone shows for bytes that are not UTF-8."""


def to_rclone(path: str) -> str:
    """Return a path as rclone writes it."""
    return "/".join(map(_encode, path.split("/")))


def from_rclone(path: str) -> str:
    """Return the path that rclone means."""
    return "/".join(map(_decode, path.split("/")))


def is_utf8(path: str) -> bool:
    """Return whether all of a path's bytes are UTF-8, as rclone's lists and logs require."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encode(name: str) -> str:
    return _DOTS.get(name) or _TO_ENCODE.sub(lambda found: _ENCODED[found[0]], name)


def _decode(name: str) -> str:
    return _DECODED_DOTS.get(name) or _TO_DECODE.sub(lambda found: _DECODED.get(found[0], found[0]), name)
