"""The count of files that failed."""

from contextlib import closing
from pathlib import Path

from agent import problems
from agent.files.listing import FileEntry
from agent.pull.failures import Failures
from agent.pull.ledger import Ledger


def test_a_file_that_fails_twice_is_one_failure_with_its_first_reason(tmp_path: Path) -> None:
    """A directory that could not be made cannot get its time either: that is one failure, and one reason."""
    with closing(Ledger(tmp_path / "ledger")) as ledger:
        failures = Failures(ledger)
        directory, file = FileEntry("d", "raw"), FileEntry("f", "raw/ep1.mov")
        failures.add_problem(problems.PERMISSION_DENIED.problem(path="/a/raw"), directory)
        failures.add_problem(problems.PERMISSION_DENIED.problem(path="/a/raw/ep1.mov"), file)
        failures.add_problem(problems.SOURCE_MISSING.problem(path="/a/raw"), directory)
        error = failures.to_error(completed=3)
        assert failures.total == 2
        assert "2 of 5 files failed" in error.problem.message
        assert [one.path for one in error.failures] == ["/a/raw", "/a/raw/ep1.mov"]
        reasons = {one.path: one.problem for one in ledger.outcomes if one.outcome == "failed"}
        assert "accessible" in (reasons["raw"] or "")
