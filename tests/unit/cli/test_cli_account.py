"""`account`: change one's own password and second factor; and the second factor at sign-in."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import session
from agent.cli.account import authenticator_uri
from agent.cli.errors import CliError
from tests.support.fakes_api import FakeApi
from tests.support.fakes_cognito import RESET_CODE, User, totp
from tests.unit.cli.conftest import Run

KEY = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
STRONG = "Lasting-for-9-years"


def with_second_factor(api: FakeApi) -> User:
    api.people.users["ana"] = User("right", key=KEY, second_factor=True)
    return api.people.users["ana"]


def on_a_terminal(*arguments: str, answers: Callable[[str], str | None]) -> tuple[int, str]:
    """Run `crosshaul` on a pseudo-terminal; `answers` gets all output so far, and returns a line to type."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from agent.cli.main import main; main()", *arguments]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = ""
    try:
        while chunk := _read(ours):
            shown += chunk
            if line := answers(shown):
                os.write(ours, f"{line}\n".encode())
    finally:
        os.close(ours)
    return process.wait(), shown


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode()
    except OSError:  # Linux's end of a terminal that no process has open
        return ""


def in_turn(*steps: tuple[str, Callable[[str], str]]) -> Callable[[str], str | None]:
    """Answer each question once it is asked, in this order."""
    left = list(steps)

    def answer(shown: str) -> str | None:
        if left and shown.endswith(f"{left[0][0]} "):  # the space comes once the echo is off
            return left.pop(0)[1](shown)
        return None

    return answer


def key_in(shown: str) -> str:
    [key] = re.findall(r"secret=([A-Z2-7]+)", shown)
    return str(key)


def test_an_authenticator_is_added_on_a_terminal_and_asked_for_at_the_next_sign_in(
    signed_in: FakeApi, run: Run
) -> None:
    code, shown = on_a_terminal(
        "account",
        "second-factor",
        "on",
        answers=in_turn(("Password:", lambda _: "right"), ("shows now:", lambda shown: totp(key_in(shown)))),
    )
    assert code == 0, shown
    assert "Second factor: on" in shown
    user = signed_in.people.users["ana"]
    assert (user.key, user.second_factor) == (key_in(shown), True)

    user.last_code = ""  # half a minute later
    result = run("login", signed_in.url, "--user", "ana", given=f"right\n{totp(user.key)}\n")
    assert result.code == 0, result
    assert run("login", signed_in.url, "--user", "ana", given="right\n000000\n").code == 3


def test_where_a_stage_requires_a_second_factor_the_first_sign_in_sets_it_up(api: FakeApi) -> None:
    """Somebody who was invited chooses a password, then adds an authenticator, and is signed in."""
    api.people.required = True
    api.people.users["ana"] = User("for once", temporary=True)
    code, shown = on_a_terminal(
        "login",
        api.url,
        "--user",
        "ana",
        answers=in_turn(
            ("Password:", lambda _: "for once"),
            ("New password:", lambda _: STRONG),
            ("Repeat for confirmation:", lambda _: STRONG),
            ("shows now:", lambda shown: totp(key_in(shown))),
        ),
    )
    assert code == 0, shown
    assert "Signed in to" in shown
    assert session.load().user == "ana"
    assert api.people.users["ana"].second_factor


def test_the_key_of_a_second_factor_gets_into_no_log(api: FakeApi, run: Run) -> None:
    """In a pipeline, standard error is kept: the command ends before it prints the key."""
    api.people.required = True
    result = run("login", api.url, "--user", "ana", given="right\n123456\n")
    assert result.code == 3
    assert result.err.splitlines() == [
        "error: a second factor has to be set up first",
        "Run `crosshaul login` once on a terminal, or use the console.",
    ]
    assert "secret=" not in result.out + result.err
    with pytest.raises(CliError):
        session.load()


def test_a_code_that_was_seen_over_the_shoulder_is_of_no_use(api: FakeApi, run: Run) -> None:
    user = with_second_factor(api)
    code = totp(KEY)
    assert run("login", api.url, "--user", "ana", given=f"right\n{code}\n").code == 0
    assert user.last_code == code
    again = run("login", api.url, "--user", "ana", given=f"right\n{code}\n")
    assert again.code == 3
    assert "used before" in again.err


def test_who_finds_an_open_terminal_cannot_remove_the_second_factor(signed_in: FakeApi, run: Run) -> None:
    user = with_second_factor(signed_in)
    for given in ("wrong\n", "right\n000000\n"):
        assert run("account", "second-factor", "off", given=given).code == 3
    assert user.second_factor
    result = run("account", "second-factor", "off", given=f"right\n{totp(KEY)}\n")
    assert (result.code, result.out) == (0, "Second factor: off\n"), result
    assert not user.second_factor


def test_a_second_factor_that_the_stage_requires_stays(signed_in: FakeApi, run: Run) -> None:
    user = with_second_factor(signed_in)
    signed_in.people.required = True
    result = run("account", "second-factor", "off", given=f"right\n{totp(KEY)}\n")
    assert result.code == 3
    assert "requires a second factor" in result.err
    assert user.second_factor


def test_a_changed_password_ends_every_session(signed_in: FakeApi, run: Run, home: Path) -> None:
    """Ana believes that somebody else has her password."""
    signed_in.people.refresh_tokens["refresh-of-a-thief"] = "ana"
    result = run("account", "password", given=f"right\n{STRONG}\n")
    assert result.code == 0, result
    assert signed_in.people.users["ana"].password == STRONG
    assert signed_in.people.refresh_tokens == {}
    assert not (home / "session.json").exists()
    assert run("login", signed_in.url, "--user", "ana", given=f"{STRONG}\n").code == 0


def test_a_password_that_is_too_weak_changes_nothing(signed_in: FakeApi, run: Run) -> None:
    result = run("account", "password", given="right\nshort\n")
    assert result.code == 2
    assert "14 characters" in result.err
    assert signed_in.people.users["ana"].password == "right"
    assert run("agents").code == 0, "the session is as it was"


def test_a_forgotten_password_is_replaced_with_the_code_of_an_e_mail(api: FakeApi, run: Run) -> None:
    wrong = run("account", "reset-password", api.url, "--user", "ana", given=f"111111\n{STRONG}\n")
    assert (wrong.code, wrong.err.splitlines()[-2]) == (3, "error: wrong code")
    result = run("account", "reset-password", api.url, "--user", "ana", given=f"{RESET_CODE}\n{STRONG}\n")
    assert result.code == 0, result
    assert run("login", api.url, "--user", "ana", given=f"{STRONG}\n").code == 0


def test_who_does_not_exist_is_told_the_same_as_who_does(api: FakeApi, run: Run) -> None:
    told = [
        run("account", "reset-password", api.url, "--user", name, given=f"111111\n{STRONG}\n")
        for name in ("ana", "nobody")
    ]
    assert told[0].err == told[1].err


def test_who_never_signed_in_is_told_to_be_invited_again(api: FakeApi, run: Run) -> None:
    api.people.users["ana"] = User("for once", temporary=True)
    result = run("account", "reset-password", api.url, "--user", "ana", given="1\n2\n")
    assert result.code == 3
    assert "invite you again" in result.err


def test_no_access_token_is_stored(signed_in: FakeApi, run: Run, home: Path) -> None:
    assert run("login", signed_in.url, "--user", "ana", given="right\n").code == 0
    assert "access" not in json.dumps(json.loads((home / "session.json").read_text()))


def test_authenticator_apps_read_the_account_and_the_stage() -> None:
    uri = authenticator_uri(KEY, "ana+x@example.org", "prod")
    assert uri == (
        f"otpauth://totp/Crosshaul%20prod:ana%2Bx%40example.org?secret={KEY}&issuer=Crosshaul%20prod"
    )
