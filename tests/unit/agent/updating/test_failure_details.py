"""Why an update failed passes through IoT Jobs, which takes 1,024 printable characters of each detail."""

from hypothesis import given
from hypothesis import strategies as st

from agent.problems import UPDATE_NOT_INSTALLED, UPDATE_UNHEALTHY
from events.updates import MAX_DETAIL_CHARS, failure_details, problem_of


def test_a_reason_arrives_with_everything_that_a_translation_needs():
    problem = UPDATE_UNHEALTHY.problem(version="0.2.0", seconds=300)
    assert problem_of(failure_details(problem)) == problem


@given(st.text(max_size=3000))
def test_the_output_of_a_failed_installation_fits_and_keeps_its_words(output):
    details = failure_details(UPDATE_NOT_INSTALLED.problem(version="0.2.0", detail=output), returned=True)
    assert all(len(text) <= MAX_DETAIL_CHARS and text.isprintable() for text in details.values())
    told = problem_of(details)
    assert (told.wording, told.parameters["version"]) == ("update-not-installed", "0.2.0")
    assert details["returned"] == "yes"


@given(st.dictionaries(st.sampled_from(["code", "message", "wording", "parameters", "returned"]), st.text()))
def test_details_of_a_stranger_are_no_reason_and_break_nothing(details):
    told = problem_of(details)
    assert told is None or told.message == details["message"]
