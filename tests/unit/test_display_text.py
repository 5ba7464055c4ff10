"""Whatever bytes a file's name has, it can be sent, and what is sent is the same wherever it is said."""

import logging
import os

from hypothesis import given
from hypothesis import strategies as st

from agent.errors import display_path
from agent.logs import Logfmt
from events.base import Problem, display_text
from events.progress import Progress
from events.reports import DirectoryEntry, DryRunResult

NAMES = st.binary(min_size=1, max_size=60).map(os.fsdecode) | st.text(
    st.characters(), min_size=1, max_size=60
)
"""As a file system has them, and as a peer could make them up: any surrogates."""


@given(NAMES)
def test_every_message_takes_every_name_and_shows_it_alike(name):
    text = display_text(name)
    assert text.encode().decode() == text == display_text(text) == display_path(name)
    Problem.model_validate_json(Problem(code="x", message=name, path=name).model_dump_json())
    messages = [
        (Progress(current=name), lambda one: one.current),
        (DirectoryEntry(name=name, type="file"), lambda one: one.name),
        (DryRunResult(examples={"sent": (name,)}), lambda one: one.examples["sent"][0]),
    ]
    for message, read in messages:
        assert read(type(message).model_validate_json(message.model_dump_json())) == text


@given(st.binary(max_size=60))
def test_bytes_that_are_utf_8_stay_and_the_others_are_spelled(name):
    assert display_text(os.fsdecode(name)) == name.decode("utf-8", "backslashreplace")


def test_a_log_spells_a_name_as_a_report_does():
    record = logging.LogRecord("agent.x", logging.INFO, "f", 1, "x", (), None)
    record.path = os.fsdecode(b"caf\xe9")
    assert Logfmt().format(record).endswith("path=caf\\xe9")
