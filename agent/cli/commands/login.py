"""`login`, `logout`, `whoami`."""

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
        str | None, typer.Option(envvar="CROSSHAUL_USER", help="Who signs in; asked for if left out.")
    ] = None,
) -> None:
    """Sign in, and keep the session for the next commands.

    The password is asked for without showing it; in scripts it comes from CROSSHAUL_PASSWORD or from the
    standard input. It is never an argument, since others on this machine can see those.
    """
    from agent.cli import cognito, session

    address = _address(url)
    pool = _pool(address)
    name = user or _ask_user()
    tokens = cognito.sign_in(pool, name, _secret("Password", "PASSWORD"), _secret)
    kept = session.Session(
        url=address,
        region=pool.region,
        client_id=pool.client_id,
        endpoint=pool.endpoint,
        user=name,
        id_token=tokens.id_token,
        refresh_token=tokens.refresh_token or "",
    )
    session.save(kept)
    output.say(f"Signed in to {address} as {clean(name)}{_in_groups(kept.groups)}.")


def logout() -> None:
    """Forget the session on this machine."""
    from agent.cli import session

    output.say("Signed out." if session.forget() else "You were not signed in.")


def whoami() -> None:
    """Show who is signed in, and where."""
    from agent.cli import session
    from agent.cli.text import clock

    kept = session.load()
    ends = datetime.fromtimestamp(kept.claims.get("exp", 0), UTC)
    output.say(f"{clean(kept.user)}{_in_groups(kept.groups)}")
    output.say(f"at {clean(kept.url)}")
    state = f"renewed by itself after {clock(ends)}" if kept.refresh_token else f"ends {clock(ends)}"
    output.say(f"session {state}", style="dim")


def _in_groups(groups: tuple[str, ...]) -> str:
    return f" ({', '.join(map(clean, groups))})" if groups else " (in no group: may do nothing yet)"


def _address(url: str) -> str:
    """The address without a slash at its end; Trouble if tokens would travel in the clear."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise CliError(f"{url!r} is not an address", "Write it as https://….execute-api.….amazonaws.com/prod")
    if parts.scheme == "http" and not _stays_here(parts.hostname):
        raise CliError(f"{url} is not encrypted: tokens would travel readable", "Use its https:// address.")
    return parts.geturl().rstrip("/")


def _stays_here(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"} or host.endswith(".localhost")


def _pool(address: str) -> "Pool":
    """Where this API's people sign in, as GET /health tells."""
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
        raise CliError("no user was named", "Add --user NAME.")
    return str(typer.prompt("User"))


def _secret(question: str, name: str) -> str:
    """From the environment, else hidden from the terminal, else the next line of the standard input."""
    if given := os.environ.get(f"CROSSHAUL_{name}"):
        return given
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=True, confirmation_prompt=name == "NEW_PASSWORD"))
    if line := sys.stdin.readline().rstrip("\r\n"):
        return line
    advice = f"Set CROSSHAUL_{name}, or give it on the standard input."
    raise CliError(f"{question.lower()}: nothing was given", advice, Exit.FORBIDDEN)
