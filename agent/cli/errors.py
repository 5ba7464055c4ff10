"""What goes wrong in the operator's command, what to do about it, and the exit code for it."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. Scripts may count on them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    FORBIDDEN = 3
    NOT_FOUND = 4
    UNREACHABLE = 5
    REFUSED = 6
    BUG = 70
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done; with --watch: everything arrived",
    Exit.FAILED: "the transfer failed or was cancelled, wholly or in part",
    Exit.USAGE: "the command or the request is written wrongly",
    Exit.FORBIDDEN: "not signed in, or not allowed to",
    Exit.NOT_FOUND: "no such transfer, agent, template or directory",
    Exit.UNREACHABLE: "the API (or an agent behind it) does not answer, or has an error of its own",
    Exit.REFUSED: "refused as things are: a conflict, an agent that is away, too many requests",
    Exit.BUG: "a mistake in crosshaul itself; --debug shows where",
    Exit.INTERRUPTED: "stopped with Ctrl-C; a transfer that was asked for goes on",
}

EXIT_TABLE = "Exit codes:\n" + "\n".join(f"  {code.value:>3}  {text}" for code, text in MEANING.items())


class CliError(Exception):
    """One line of what happened, one of what to do, and the code to end with."""

    def __init__(self, what: str, advice: str = "", code: Exit = Exit.USAGE) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice
        self.code = code


class NotSignedInError(CliError):
    """There is no session, or it is not accepted any more."""

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


def code_for_status(status: int) -> Exit:
    """The exit code that an HTTP error status leads to."""
    return _BY_STATUS.get(status, Exit.UNREACHABLE if status >= 500 else Exit.REFUSED)
