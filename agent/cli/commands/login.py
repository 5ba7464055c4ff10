"""`login`, `logout`, `whoami`: manage the operator's session."""

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from agent.cli import output
from agent.cli.errors import CliError, Exit
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.cognito import Pool


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="The API's address.")],
    user: Annotated[
        str | None, typer.Option(envvar="CROSSHAUL_USER", help="User name; default: asked for.")
    ] = None,
) -> None:
    """Sign in and store the session for further commands.

    The password is asked for without echo; in scripts it comes from CROSSHAUL_PASSWORD or standard input. It
    is never an argument, because other users of this machine can see arguments.
    """
    from agent.cli import cognito, session

    address = _address(url)
    pool = _pool(address)
    name = user or _ask_user()
    tokens = cognito.sign_in(pool, name, _secret("Password", "PASSWORD"), _secret)
    stored = session.Session(
        url=address,
        region=pool.region,
        client_id=pool.client_id,
        endpoint=pool.endpoint,
        user=name,
        id_token=tokens.id_token,
        refresh_token=tokens.refresh_token or "",
    )
    session.save(stored)
    output.say(f"Signed in to {address} as {clean(name)}{_in_groups(stored.groups)}.")


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


def _address(url: str) -> str:
    """Return the API's address without a trailing slash.

    Raises:
        CliError: It is not an address, or tokens would be sent unencrypted.
    """
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise CliError(f"{url!r} is not an address", "Write it as https://….execute-api.….amazonaws.com/prod")
    if parts.scheme == "http" and not _is_local(parts.hostname):
        raise CliError(
            f"{url} is not encrypted: tokens would be sent in the clear", "Use its https:// address."
        )
    return parts.geturl().rstrip("/")


def _is_local(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"} or host.endswith(".localhost")


def _pool(address: str) -> "Pool":
    """Return the Cognito pool where this API's users sign in, from GET /health."""
    import pydantic

    from agent.cli.cognito import Pool
    from agent.cloud import http
    from events.views import Health

    with http.client(address) as client:
        response = client.get("health")
    if response.status_code >= 500:
        http.raise_for_problem(response)
    try:
        sign_in = Health.model_validate_json(response.content).sign_in
    except pydantic.ValidationError:
        advice = "Give the API's address with its stage, as the deployment printed it."
        raise CliError(f"there is no Crosshaul API at {address}", advice) from None
    return Pool(sign_in.region, sign_in.client_id, sign_in.endpoint, sign_in.user_pool_id)


def _ask_user() -> str:
    if not sys.stdin.isatty():
        raise CliError("no user given", "Add --user NAME.")
    return str(typer.prompt("User"))


def _secret(question: str, name: str) -> str:
    """Return a secret from the environment, else a prompt without echo, else the next line of stdin."""
    if given := os.environ.get(f"CROSSHAUL_{name}"):
        return given
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=True, confirmation_prompt=name == "NEW_PASSWORD"))
    if line := sys.stdin.readline().rstrip("\r\n"):
        return line
    advice = f"Set CROSSHAUL_{name}, or write it to standard input."
    raise CliError(f"{question.lower()}: no value given", advice, Exit.FORBIDDEN)
