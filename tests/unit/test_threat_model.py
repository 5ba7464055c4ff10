"""Every threat of docs/threat-model.md names tests that there are."""

import re
from collections import Counter
from pathlib import Path

MODEL = Path("docs/threat-model.md").read_text()
TESTS = "\n".join(file.read_text() for file in Path("tests").rglob("test_*.py"))


def rows() -> list[list[str]]:
    table = MODEL.partition("## Threats")[2].partition("## What is left")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_threat_has_a_name_of_its_own_something_that_stops_it_and_a_test():
    assert len({row[0] for row in rows()}) == len(rows())
    for name, threat, stopped_by, proof in rows():
        assert threat, name
        assert stopped_by, name
        assert re.findall(r"`(test_\w+)`", proof), name


def test_nothing_is_said_twice():
    left = re.findall(r"^- \*\*(.+?)\*\*", MODEL.partition("## What is left")[2], re.MULTILINE)
    for said in (left, [row[1] for row in rows()]):
        assert [text for text, times in Counter(said).items() if times > 1] == []


def test_every_test_that_is_named_is_there():
    named = {test for row in rows() for test in re.findall(r"`(test_\w+)`", row[3])}
    missing = {test for test in named if not re.search(rf"def {test}\b", TESTS)}
    assert missing == set()


def test_every_kind_of_threat_is_thought_of():
    assert {row[0][0] for row in rows()} == set("STRIDE")
