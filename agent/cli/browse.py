"""`browse`: what lies in a directory of an agent."""

from typing import Annotated, Any

import typer

from agent.cli import output
from agent.cli.agents import Json
from agent.cli.text import clean

_MARKS = {"directory": "/", "symlink": "@", "file": "", "other": "?"}


def browse(
    place: Annotated[str, typer.Argument(metavar="AGENT:/PATH", help="A directory on an agent.")],
    everything: Annotated[bool, typer.Option("--all", "-a", help="Every page, not only the first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Names in a page.")] = 200,
    after: Annotated[str | None, typer.Option(metavar="NAME", help="Only names after this one.")] = None,
    as_json: Json = False,
) -> None:
    """List a directory on an agent: size, time and name."""
    from agent.cli.api import connected
    from agent.cli.asked import agent_location, asked
    from events.requests import BrowseRequest

    location = agent_location(place)
    request = asked(BrowseRequest, path=location.path, after=after, limit=limit)
    with connected() as api:
        page = api.post("agents", location.agent_id, "browse", body=request.model_dump(mode="json"))
        entries = list(page["entries"])
        while everything and page.get("next"):
            request = request.model_copy(update={"after": page["next"]})
            page = api.post("agents", location.agent_id, "browse", body=request.model_dump(mode="json"))
            entries += page["entries"]
    listing = {**page, "entries": entries}
    output.data(listing) if as_json else _show(listing, place)


def _show(listing: dict[str, Any], place: str) -> None:
    from agent.cli.tables import Column, show
    from events.views import ListingView

    view = ListingView.model_validate(listing)
    if not view.entries:
        return output.say(f"{clean(place)} is empty.")
    columns = (Column("SIZE", right=True), Column("MODIFIED", leaves=1), Column("NAME", folds=True))
    show(columns, map(_row, view.entries))
    if view.next:
        output.note("There is more: add --all, or --after with the last name.")
    return None


def _row(entry: Any) -> tuple[str, str, str]:
    from agent.cli.text import clock, size

    shown = size(entry.size) if entry.type == "file" else "–"
    return shown, clock(entry.modified), entry.name + _MARKS[entry.type]
