"""`login`, `logout`, `whoami`: manage the operator's session."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from agent.cli import output
from agent.cli.text import clean


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="The address of the console, or of the API.")],
    user: Annotated[
        str | None, typer.Option(envvar="CROSSHAUL_USER", help="User name; default: asked for.")
    ] = None,
) -> None:
    """Sign in and store the session for further commands.

    The password is asked for without echo; in scripts it comes from CROSSHAUL_PASSWORD or standard input. It
    is never an argument, because other users of this machine can see arguments.
    """
    from agent.cli import cognito, prompts, session
    from agent.cli.stage_api import find

    service = find(url)
    pool = service.pool
    name = user or prompts.user()
    set_up = prompts.authenticator(name, service.stage)
    tokens = cognito.sign_in(pool, name, prompts.secret("Password", "PASSWORD"), prompts.secret, set_up)
    stored = session.Session(
        url=service.url,
        region=pool.region,
        client_id=pool.client_id,
        endpoint=pool.endpoint,
        user=name,
        id_token=tokens.id_token,
        refresh_token=tokens.refresh_token or "",
    )
    session.save(stored)
    output.say(f"Signed in to {service.url} as {clean(name)}{_in_groups(stored.groups)}.")


def logout() -> None:
    """Sign out: delete the session on this machine."""
    from agent.cli import session

    output.say("Signed out." if session.forget() else "You were not signed in.")


def whoami() -> None:
    """Show who is signed in, and where."""
    from agent.cli import session
    from agent.cli.text import clock

    stored = session.load()
    expires = datetime.fromtimestamp(stored.claims.get("exp", 0), UTC)
    output.say(f"{clean(stored.user)}{_in_groups(stored.groups)}")
    output.say(f"at {clean(stored.url)}")
    state = (
        f"renewed automatically after {clock(expires)}"
        if stored.refresh_token
        else f"expires {clock(expires)}"
    )
    output.say(f"session {state}", style="dim")


def _in_groups(groups: tuple[str, ...]) -> str:
    return f" ({', '.join(map(clean, groups))})" if groups else " (in no group: no permissions yet)"
