"""`account`: change one's own password and second factor."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent.cli import output
from agent.cli.errors import CliError
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.cognito import Tokens
    from agent.cli.stage_api import StageApi

app = typer.Typer(help="Change your own password and second factor.", no_args_is_help=True)


@app.command()
def password() -> None:
    """Change your password, and sign out everywhere.

    In scripts, CROSSHAUL_PASSWORD or the first line of standard input is the current password, the next line
    the code of an account with a second factor, and CROSSHAUL_NEW_PASSWORD or the last line the new password.
    """
    from agent.cli import account, prompts, session

    service, user = _signed_in()
    old = prompts.secret("Current password", "PASSWORD")
    tokens = _prove(service, user, old)
    account.change_password(service.pool, tokens, old, prompts.secret("New password", "NEW_PASSWORD"))
    session.forget()
    try:
        account.end_sessions(service.pool, tokens)
    except CliError as error:
        what = f"the password is changed, but sessions on other machines could not be ended: {error.what}"
        raise CliError(what, "They end within seven days.", error.code) from error
    output.say(
        f"Password changed; all sessions have ended. Sign in with `crosshaul login {clean(service.url)}`."
    )


@app.command("reset-password")
def reset_password(
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="The console's address; default: where you last signed in."),
    ] = None,
    user: Annotated[
        str | None, typer.Option(envvar="CROSSHAUL_USER", help="User name; default: asked for.")
    ] = None,
) -> None:
    """Choose a new password with a code that is sent by e-mail, if you have forgotten yours."""
    from agent.cli import account, prompts, session
    from agent.cli.stage_api import find

    service = find(url or session.load().url)
    name = user or prompts.user()
    address = account.send_reset_code(service.pool, name)
    output.note(f"If this user exists, a code was sent to {clean(address) or 'their e-mail address'}.")
    code = prompts.secret("Code from the e-mail", "RESET_CODE")
    account.reset_password(service.pool, name, code, prompts.secret("New password", "NEW_PASSWORD"))
    output.say(f"Password changed. Sign in with `crosshaul login {clean(service.url)}`.")


@app.command("second-factor")
def second_factor(
    change: Annotated[
        Literal["show", "on", "off"],
        typer.Argument(help="on: add an authenticator app, or replace it; off: remove it."),
    ] = "show",
) -> None:
    """Ask for a code of an authenticator app when you sign in."""
    from agent.cli import account, prompts

    service, user = _signed_in()
    tokens = _prove(service, user, prompts.secret("Password", "PASSWORD"))
    match change:
        case "on":
            account.add_second_factor(service.pool, tokens, prompts.authenticator(user, service.stage))
        case "off":
            account.remove_second_factor(service.pool, tokens)
    state = "on" if account.has_second_factor(service.pool, tokens) else "off"
    output.say(f"Second factor: {state}")


def _signed_in() -> "tuple[StageApi, str]":
    """Return where somebody is signed in, and who.

    Raises:
        LoginRequiredError: There is no session.
    """
    from agent.cli import session
    from agent.cli.stage_api import find

    stored = session.load()
    return find(stored.url), stored.user


def _prove(service: "StageApi", user: str, password: str) -> "Tokens":
    """Sign in once more: whoever finds an open terminal must not take over the account.

    Raises:
        CliError: Cognito refuses.
    """
    from agent.cli import cognito, prompts

    set_up = prompts.authenticator(user, service.stage)
    return cognito.sign_in(service.pool, user, password, prompts.secret, set_up)
