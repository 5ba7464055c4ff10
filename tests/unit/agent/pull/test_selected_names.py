"""Names that were selected in the console select these files and no others at an agent.

`web/tests/selection.test.ts` holds the console to the same patterns.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.filters import Filters
from infra import REPOSITORY

SELECTED = json.loads((REPOSITORY / "web/tests/selectedNames.json").read_text())
NAMES = [one["name"] for one in SELECTED]


@pytest.mark.parametrize("selected", SELECTED, ids=ascii)
@settings(max_examples=25)
@given(other=st.text(st.characters(exclude_characters="/\0"), min_size=1) | st.sampled_from(NAMES))
def test_a_selected_name_selects_itself_and_no_other(selected, other):
    name = selected["name"]
    file, directory = Filters([selected["file"]]), Filters([selected["directory"]])
    assert file.matches(name)
    assert directory.matches(f"{name}/below/{other}")
    assert file.matches(other) == (name == other)
    assert directory.matches(f"{other}/a") == (name == other)
    assert not file.matches(f"{other}/{name}")
    assert not directory.matches(f"{other}/{name}/a") or name == other


async def test_files_and_a_directory_of_one_place_travel_and_their_neighbors_stay(hosts):
    first, second, *rest = (one for one in SELECTED if len(one["name"].encode()) <= 255)
    for one in (first, second, *rest):
        (hosts.data / one["name"]).write_bytes(b"content")
    (hosts.data / "chosen").mkdir()
    (hosts.data / "chosen" / "below").write_bytes(b"below")
    include = [one["file"] for one in rest] + ["/chosen/**"]
    await hosts.move(hosts.order("/data/", "/archive/", include=include))
    arrived = {str(path.relative_to(hosts.archive)) for path in hosts.archive.rglob("*") if path.is_file()}
    assert arrived == {one["name"] for one in rest} | {"chosen/below"}
