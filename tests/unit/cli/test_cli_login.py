"""`login`, `logout`, `whoami`, and renewing the token."""

import json
import stat
from pathlib import Path

import pytest

from agent.cli import session
from agent.cli.errors import CliError, Exit
from tests.support.fakes_api import FakeApi
from tests.support.fakes_cognito import User
from tests.unit.cli.conftest import Run, sign_in


def test_login_keeps_a_session_that_only_its_owner_can_read(api: FakeApi, run: Run, home: Path) -> None:
    result = run("login", api.url + "/", "--user", "ana", given="right\n")
    assert result.code == 0, result
    assert "as ana (operator)" in result.out
    file = home / "session.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert session.load().url == api.url
    assert [path.name for path in home.iterdir()] == ["session.json"]


def test_a_new_session_replaces_a_readable_one_by_a_private_one(api: FakeApi, home: Path) -> None:
    home.mkdir()
    (home / "session.json").write_text("{}")
    (home / "session.json").chmod(0o644)
    sign_in(api)
    assert stat.S_IMODE((home / "session.json").stat().st_mode) == 0o600


def test_the_password_does_not_leave_this_machine(api: FakeApi, run: Run) -> None:
    api.people.users["ana"] = User("Pässword that nobody else would choose")
    assert run("login", api.url, "--user", "ana", given="Pässword that nobody else would choose\n").code == 0
    assert "that nobody else" not in repr([api.asked, api.people.asked])


def test_the_password_may_come_from_the_environment(
    api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSHAUL_PASSWORD", "right")
    assert run("login", api.url, "--user", "ana").code == 0


def test_a_wrong_password_says_so_and_keeps_nothing(api: FakeApi, run: Run, home: Path) -> None:
    result = run("login", api.url, "--user", "ana", given="wrong\n")
    assert result.code == 3
    assert result.err.splitlines() == ["error: wrong user or password", "Try again."]
    assert not home.exists()


def test_no_password_at_all_is_told_from_a_wrong_one(api: FakeApi, run: Run) -> None:
    result = run("login", api.url, "--user", "ana")
    assert result.code == 3
    assert "CROSSHAUL_PASSWORD" in result.err


def test_cognito_may_ask_for_a_new_password(api: FakeApi, run: Run) -> None:
    api.people.users["ana"] = User("right", temporary=True)
    result = run("login", api.url, "--user", "ana", given="right\nLasting-for-9-years\n")
    assert result.code == 0, result
    assert api.people.users["ana"] == User("Lasting-for-9-years")


def test_an_unencrypted_address_is_refused_unless_it_stays_on_this_machine(run: Run) -> None:
    result = run("login", "http://api.example.org/prod", "--user", "ana", given="right\n")
    assert result.code == 2
    assert "https://" in result.err


@pytest.mark.parametrize("url", ["ftp://api", "https://", "::"])
def test_what_is_no_address_is_refused(run: Run, url: str) -> None:
    assert run("login", url, "--user", "ana").code == 2


def test_an_address_that_is_no_crosshaul_api_is_told(api: FakeApi, run: Run) -> None:
    result = run("login", f"{api.cognito}/other", "--user", "ana", given="right\n")
    assert result.code == 2
    assert "there is no Crosshaul API at" in result.err


def test_the_console_s_address_will_do(api: FakeApi, run: Run) -> None:
    """People have the console's address in their browser; the API's is known to whoever deployed it."""
    api.console_config = {"api_url": f"{api.url}/"}
    result = run("login", f"{api.cognito}/console/?lang=de#/transfers", "--user", "ana", given="right\n")
    assert result.code == 0, result
    assert session.load().url == api.url


def test_a_console_that_names_a_wrong_api_is_told(api: FakeApi, run: Run) -> None:
    for address, words in (
        (f"{api.cognito}/elsewhere", "no Crosshaul API"),
        ("http://api.example.org/prod", "not encrypted"),
    ):
        api.console_config = {"api_url": address}
        result = run("login", f"{api.cognito}/console/", "--user", "ana", given="right\n")
        assert result.code == Exit.USAGE
        assert words in result.err
    with pytest.raises(CliError):
        session.load()


def test_nobody_there_is_exit_code_5(run: Run) -> None:
    result = run("login", "http://127.0.0.1:9/local", "--user", "ana", given="right\n")
    assert result.code == 5
    assert "does not answer" in result.err


def test_an_old_token_is_renewed_before_it_is_used_and_the_new_one_kept(api: FakeApi, run: Run) -> None:
    sign_in(api, ends_in=30)
    before = session.load().id_token
    assert run("agents").code == 0
    after = session.load()
    assert after.id_token != before
    assert after.refresh_token == "refresh-1"
    assert [one[3]["authorization"] for one in api.asked] == [f"Bearer {after.id_token}"]


def test_a_token_that_the_api_refuses_is_renewed_once(signed_in: FakeApi, run: Run) -> None:
    signed_in.tokens.clear()
    assert run("agents").code == 0
    assert len(signed_in.asked) == 2


def test_a_session_that_has_ended_for_good_asks_to_sign_in_again(api: FakeApi, run: Run) -> None:
    sign_in(api, ends_in=-5)
    api.people.refresh_tokens.clear()
    result = run("agents")
    assert result.code == 3
    assert result.err.splitlines() == [
        "error: your session has ended",
        "Sign in with `crosshaul login URL`.",
    ]


def test_whoami_and_logout(signed_in: FakeApi, run: Run, home: Path) -> None:
    result = run("whoami")
    assert result.out.splitlines()[:2] == ["ana (operator)", f"at {signed_in.url}"]
    assert run("logout").out == "Signed out.\n"
    assert not (home / "session.json").exists()
    assert run("logout").out == "You were not signed in.\n"
    assert run("whoami").code == 3


def test_a_damaged_session_is_no_traceback(run: Run, home: Path) -> None:
    home.mkdir()
    (home / "session.json").write_text(json.dumps({"url": 1}))
    result = run("whoami")
    assert result.code == 3
    assert "damaged" in result.err


def test_a_home_that_cannot_be_written_is_told(api: FakeApi, run: Run, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file stands in the way")
    result = run("login", api.url, "--user", "ana", given="right\n")
    assert result.code == 2
    assert "CROSSHAUL_HOME" in result.err
