"""One fact a line, whatever the values contain."""

import logging

from agent.logs import Logfmt


def line(message: str, **extra: object) -> str:
    record = logging.LogRecord("agent.x", logging.INFO, "f", 1, message, (), None)
    vars(record).update(extra)
    return Logfmt().format(record)


def test_facts_are_keys():
    text = line("hop started", hop_id="h-0", attempt=1)
    assert text.endswith('level=info msg="hop started" hop_id=h-0 attempt=1')
    assert text.startswith("time=20")


def test_no_value_can_forge_a_line_or_a_key():
    text = line("x", path='a\nlevel=error "b"\\', odd="\udcff", empty="", esc="\x1b[2J")
    assert "\n" not in text
    assert r'path="a\nlevel=error \"b\"\\"' in text
    assert 'empty=""' in text
    assert "\x1b" not in text


def test_a_traceback_follows():
    error = KeyError("k")
    record = logging.LogRecord("agent", logging.ERROR, "f", 1, "broke", (), (KeyError, error, None))
    assert "KeyError: 'k'" in Logfmt().format(record).splitlines()[-1]
