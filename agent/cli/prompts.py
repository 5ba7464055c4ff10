"""Ask a person for what must not be an argument, which other users of the machine can see."""

import os
import sys
from collections.abc import Callable

import typer

from agent.cli.errors import CliError, Exit
from agent.cli.text import clean

_GROUP = 4
"""Characters of a key that are shown together, so that it can be typed."""


def user() -> str:
    """Return the user name.

    Raises:
        CliError: There is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise CliError("no user given", "Add --user NAME.")
    return str(typer.prompt("User"))


def secret(question: str, name: str) -> str:
    """Return a secret from the environment, else a prompt without echo, else the next line of stdin.

    Raises:
        CliError: None of them has it.
    """
    if given := os.environ.get(f"CROSSHAUL_{name}"):
        return given
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=True, confirmation_prompt=name == "NEW_PASSWORD"))
    if line := sys.stdin.readline().rstrip("\r\n"):
        return line
    advice = f"Set CROSSHAUL_{name}, or write it to standard input."
    raise CliError(f"{question.lower()}: no value given", advice, Exit.FORBIDDEN)


def authenticator(name: str, stage: str) -> Callable[[str], str]:
    """Return a function that shows a user the key for their authenticator app and asks for its first code.

    It raises CliError if standard error is not a terminal: the key of a second factor belongs into no log.
    """

    def set_up(key: str) -> str:
        from agent.cli.account import authenticator_uri

        if not sys.stderr.isatty():
            what = "a second factor has to be set up first"
            raise CliError(
                what, "Run `crosshaul login` once on a terminal, or use the console.", Exit.FORBIDDEN
            )
        groups = " ".join(key[at : at + _GROUP] for at in range(0, len(key), _GROUP))
        for line in (
            "Add this key to your authenticator app (the console shows it as a QR code):",
            f"  {clean(groups)}",
            f"  {clean(authenticator_uri(key, name, stage))}",
        ):
            sys.stderr.write(f"{line}\n")  # not wrapped: it may be copied
        return secret("Code that it shows now", "NEW_SOFTWARE_TOKEN_MFA_CODE")

    return set_up
