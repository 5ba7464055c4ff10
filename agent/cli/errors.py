"""Errors of the operator's command: message, advice and exit code."""

import json
import textwrap
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. Scripts may rely on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    FORBIDDEN = 3
    NOT_FOUND = 4
    UNREACHABLE = 5
    REFUSED = 6
    BUG = 70
    OUTPUT = 74
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done; with --watch: everything arrived",
    Exit.FAILED: "the transfer failed or was cancelled, wholly or in part",
    Exit.USAGE: "the command or the request is not valid",
    Exit.FORBIDDEN: "not signed in, or not allowed to",
    Exit.NOT_FOUND: "no such transfer, agent, template, remote or directory",
    Exit.UNREACHABLE: "the API (or an agent behind it) does not answer, or failed",
    Exit.REFUSED: "conflict with the current state: for example an agent is offline, or too many requests",
    Exit.BUG: "an internal error in crosshaul; --debug shows where",
    Exit.OUTPUT: "the output cannot be written: the disk is full, or its reader has ended",
    Exit.INTERRUPTED: "stopped with Ctrl-C; a transfer that was started continues",
}

EXIT_TABLE = "\n".join(
    [
        "Exit codes:",
        *(
            textwrap.fill(f"  {code.value:>3}  {text}", 76, subsequent_indent=" " * 7)
            for code, text in MEANING.items()
        ),
    ]
)


class CliError(Exception):
    """An error for the operator: one line of what happened, one of what to do, and the exit code."""

    def __init__(self, what: str, advice: str = "", code: Exit = Exit.USAGE, problem: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice
        self.code = code
        self.problem = problem
        """Code of the API's problem, as in docs/reference/problems.md; empty for an error of this command."""

    def as_json(self) -> str:
        """Return one line of ASCII-only JSON."""
        fields = {"error": self.what, "advice": self.advice, "problem": self.problem or None}
        return json.dumps(fields | {"exit_code": int(self.code)})


class LoginRequiredError(CliError):
    """There is no session, or the API no longer accepts it."""

    def __init__(self, what: str = "you are not signed in") -> None:
        super().__init__(what, "Sign in with `crosshaul login URL`.", Exit.FORBIDDEN)


_BY_STATUS = {
    400: Exit.USAGE,
    401: Exit.FORBIDDEN,
    403: Exit.FORBIDDEN,
    404: Exit.NOT_FOUND,
    410: Exit.NOT_FOUND,
    413: Exit.USAGE,
    422: Exit.USAGE,
}


_NOT_FOUND = {"path-missing", "source-missing", "remote-unknown"}
"""Problems that say that something does not exist, but are not answered with 404: the agent found out."""


def exit_code(status: int, problem: str = "") -> Exit:
    """Return the exit code for an HTTP error status and the code of its problem."""
    if problem in _NOT_FOUND:
        return Exit.NOT_FOUND
    return _BY_STATUS.get(status, Exit.UNREACHABLE if status >= 500 else Exit.REFUSED)
