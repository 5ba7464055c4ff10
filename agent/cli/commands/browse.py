"""`browse`: list a directory of an agent, of a remote or of a bucket."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import complete, output
from agent.cli.commands.agents import Json
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.api import ApiClient

S3 = "s3://"
_MARKS = {"directory": "/", "symlink": "@", "file": "", "other": "?"}


def browse(
    place: Annotated[
        str,
        typer.Argument(
            metavar="PLACE",
            help="AGENT:/PATH, AGENT:REMOTE:PATH or s3://BUCKET/PREFIX/; s3:// lists the buckets.",
            autocompletion=complete.locations,
        ),
    ],
    everything: Annotated[bool, typer.Option("--all", "-a", help="All pages, not only the first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Names per page.")] = 200,
    after: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Continue after this name, as printed by the page before."),
    ] = None,
    find: Annotated[
        str, typer.Option(metavar="TEXT", help="Only names that contain TEXT, ignoring case.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List a directory of an agent, a remote or a bucket.

    Each line has size, time of modification and name; directories end in a slash, links in @.
    """
    from agent.cli.agent_names import suggested
    from agent.cli.api import connected

    if place == S3:
        with connected() as api:
            return _show_buckets(api, as_json)
    resource, request = _browse_request(place, after=after, limit=limit, find=find)
    with connected() as api, suggested(api, [resource[1]]):
        page = api.post(*resource, "browse", body=request.model_dump(mode="json"))
        entries = list(page["entries"])
        while everything and page.get("next") is not None:
            request = request.model_copy(update={"after": page["next"]})
            page = api.post(*resource, "browse", body=request.model_dump(mode="json"))
            entries += page["entries"]
    listing = {**page, "entries": entries}
    return output.print_json(listing) if as_json else _show(listing, place, find)


def _browse_request(place: str, **page: Any) -> tuple[tuple[str, str], Any]:
    """Return the path of the API resource to browse, and the request's body."""
    from agent.cli.arguments import location, validated
    from events.locations import RemoteLocation, S3Location
    from events.requests import BrowseRequest, BucketBrowseRequest

    target = location(place)
    if isinstance(target, S3Location):
        return ("buckets", target.bucket), validated(BucketBrowseRequest, prefix=target.prefix, **page)
    if isinstance(target, RemoteLocation):
        request = validated(BrowseRequest, path=f"/{target.path}", remote=target.remote, **page)
    else:
        request = validated(BrowseRequest, path=target.path, **page)
    return ("agents", target.agent_id), request


def _show_buckets(api: "ApiClient", as_json: bool) -> None:
    from events.views import BucketsView

    found = api.get("buckets")
    if as_json:
        return output.print_json(found)
    for bucket in BucketsView.model_validate(found).buckets:
        output.say(f"{S3}{clean(bucket)}/")
    return None


def _show(listing: dict[str, Any], place: str, find: str) -> None:
    from pydantic import TypeAdapter

    from agent.cli.tables import Column, show
    from events.reports import DirectoryEntry

    entries = TypeAdapter(tuple[DirectoryEntry, ...]).validate_python(listing["entries"])
    after = listing.get("next")
    if entries:
        columns = (Column("SIZE", right=True), Column("MODIFIED", leaves=1), Column("NAME", folds=True))
        show(columns, map(_row, entries))
    elif find:
        output.say(f"No matching names in {clean(place)}{'' if after is None else ' so far'}.")
    else:
        output.say(f"{clean(place)} is empty.")
    if after is not None:
        output.note(f"There is more: add --all{_or_after(after)}.")


def _or_after(name: str) -> str:
    """Return the hint on --after; none for a name that a shell would not read as printed."""
    quoted = shlex.quote(name)
    return f", or --after {quoted}" if name and clean(quoted) == quoted else ""


def _row(entry: Any) -> tuple[str, str, str]:
    from agent.cli.text import clock, size

    file_size = size(entry.size) if entry.type == "file" else "–"
    return file_size, clock(entry.modified), entry.name + _MARKS[entry.type]
