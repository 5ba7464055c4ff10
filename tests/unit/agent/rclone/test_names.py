"""Test how paths are written for rclone; see `test_remote_movers.py` for names that real rclone moves."""

from hypothesis import given
from hypothesis import strategies as st

from agent.rclone.names import from_rclone, to_rclone

paths = st.lists(
    st.sampled_from([*"/.‛／．␊␀␡\n\r\t\x01\x7f", "..", "‛．"]) | st.characters(exclude_categories=["Cs"]),
    max_size=8,
).map("".join)


@given(paths)
def test_a_translated_path_is_the_same_path_again(path):
    assert from_rclone(to_rclone(path)) == path


@given(paths)
def test_nothing_is_left_that_rclone_reads_otherwise(path):
    """A line break would be two names in a list, and `..` another directory."""
    translated = to_rclone(path)
    assert not {"\n", "\r", "\0"} & set(translated)
    assert not {".", ".."} & set(translated.split("/"))


def test_the_substitutes_are_those_of_rclone():
    assert to_rclone("a\nb/../␊") == "a␊b/．．/‛␊"
