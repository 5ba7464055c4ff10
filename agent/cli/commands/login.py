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
    url: Annotated[str, typer.Argument(metavar="URL", help="The address of the console, or of the API.")],
    user: Annotated[
        str | None, typer.Option(envvar="CROSSHAUL_USER", help="User name; default: asked for.")
    ] = None,
) -> None:
    """Sign in and store the session for further commands.

    The password is asked for without echo; in scripts it comes from CROSSHAUL_PASSWORD or standard input. It
    is never an argument, because other users of this machine can see arguments.
    """
    from agent.cli import cognito, session

    address, pool = _service(_address(url))
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
    """Return the address without a trailing slash, query and fragment.

    Raises:
        CliError: It is not an address, or tokens would be sent unencrypted.
    """
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise CliError(
            f"{url!r} is not an address",
            "Give the console's, as in https://….cloudfront.net",
        )
    if parts.scheme == "http" and not _is_local(parts.hostname):
        raise CliError(
            f"{url} is not encrypted: tokens would be sent in the clear", "Use its https:// address."
        )
    return parts._replace(query="", fragment="").geturl().rstrip("/")


def _is_local(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"} or host.endswith(".localhost")


def _service(address: str) -> "tuple[str, Pool]":
    """Return the API's address and the Cognito pool of its users; `address` may be the console's.

    Raises:
        CliError: Neither is at this address.
    """
    if pool := _pool(address):
        return address, pool
    api = _api_of_console(address)
    if not api:
        what = f"there is no Crosshaul API at {address}, and no console"
        advice = "Give the console's address, or the API's with its stage, as the deployment printed them."
        raise CliError(what, advice)
    if pool := _pool(api):
        return api, pool
    what = f"the console at {address} names {api}, where there is no Crosshaul API"
    raise CliError(what, "Publish the console again: python -m infra.publish STAGE.")


def _pool(address: str) -> "Pool | None":
    """Return the Cognito pool where this API's users sign in, from GET /health; None if it is not an API."""
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
        return None
    return Pool(sign_in.region, sign_in.client_id, sign_in.endpoint, sign_in.user_pool_id)


def _api_of_console(address: str) -> str:
    """Return the API's address from the console's config.json; empty if there is none.

    Raises:
        CliError: The address there would send tokens unencrypted.
    """
    from agent.cloud import http

    parts = urlsplit(address)
    for place in dict.fromkeys((address, f"{parts.scheme}://{parts.netloc}")):  # it may be that of a page
        with http.client(place) as client:
            response = client.get("config.json")
        try:
            found = response.json() if response.is_success else None
        except ValueError:  # the console answers unknown paths with its page
            continue
        if isinstance(found, dict) and isinstance(named := found.get("api_url"), str):
            return _address(named)
    return ""


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
