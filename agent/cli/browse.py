"""`browse`: what lies in a directory of an agent, or of a remote of its host."""

from typing import Annotated, Any

import typer

from agent.cli import output
from agent.cli.agents import Json
from agent.cli.text import clean

_MARKS = {"directory": "/", "symlink": "@", "file": "", "other": "?"}


def browse(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="AGENT:/PATH, or AGENT:REMOTE:PATH.")],
    everything: Annotated[bool, typer.Option("--all", "-a", help="Every page, not only the first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Names in a page.")] = 200,
    after: Annotated[str | None, typer.Option(metavar="NAME", help="Only names after this one.")] = None,
    find: Annotated[
        str, typer.Option(metavar="TEXT", help="Only names that have this in them, in capitals or not.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List a directory on an agent, or on a remote of its host: size, time and name."""
    from agent.cli.api import connected
    from agent.cli.asked import asked, on_a_host
    from events.locations import RemoteLocation
    from events.requests import BrowseRequest

    location = on_a_host(place)
    remote = location.remote if isinstance(location, RemoteLocation) else None
    path = location.path if remote is None else f"/{location.path}"
    request = asked(BrowseRequest, path=path, remote=remote, after=after, limit=limit, find=find)
    with connected() as api:
        page = api.post("agents", location.agent_id, "browse", body=request.model_dump(mode="json"))
        entries = list(page["entries"])
        while everything and page.get("next"):
            request = request.model_copy(update={"after": page["next"]})
            page = api.post("agents", location.agent_id, "browse", body=request.model_dump(mode="json"))
            entries += page["entries"]
    listing = {**page, "entries": entries}
    output.data(listing) if as_json else _show(listing, place, find)


def _show(listing: dict[str, Any], place: str, find: str) -> None:
    from agent.cli.tables import Column, show
    from events.views import ListingView

    view = ListingView.model_validate(listing)
    if not view.entries:
        return output.say(f"Nothing in {clean(place)} is called so." if find else f"{clean(place)} is empty.")
    columns = (Column("SIZE", right=True), Column("MODIFIED", leaves=1), Column("NAME", folds=True))
    show(columns, map(_row, view.entries))
    if view.next:
        output.note("There is more: add --all, or --after with the last name.")
    return None


def _row(entry: Any) -> tuple[str, str, str]:
    from agent.cli.text import clock, size

    shown = size(entry.size) if entry.type == "file" else "–"
    return shown, clock(entry.modified), entry.name + _MARKS[entry.type]
