"""One fact a line, whatever is in it."""

import logging

from agent.logs import Logfmt


def line(message: str, **extra: object) -> str:
    record = logging.LogRecord("agent.x", logging.INFO, "f", 1, message, (), None)
    vars(record).update(extra)
    return Logfmt().format(record)


def test_facts_are_keys():
    told = line("hop started", hop_id="h-0", attempt=1)
    assert told.endswith('level=info msg="hop started" hop_id=h-0 attempt=1')
    assert told.startswith("time=20")


def test_nothing_can_forge_a_line_or_a_key():
    told = line("x", path='a\nlevel=error "b"\\', odd="\udcff", empty="", esc="\x1b[2J")
    assert "\n" not in told
    assert r'path="a\nlevel=error \"b\"\\"' in told
    assert 'empty=""' in told
    assert "\x1b" not in told


def test_a_traceback_follows():
    error = KeyError("k")
    record = logging.LogRecord("agent", logging.ERROR, "f", 1, "broke", (), (KeyError, error, None))
    assert "KeyError: 'k'" in Logfmt().format(record).splitlines()[-1]
