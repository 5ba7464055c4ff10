"""`sync`: make a destination equal to a source, after a preview."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import bandwidth, complete, output
from agent.cli.commands.agents import Json, Yes

if TYPE_CHECKING:
    from events.views import TransferView


def sync(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="AGENT:/PATH, with a slash at its end.",
            autocompletion=complete.locations,
        ),
    ],
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION", help="Written like the source.", autocompletion=complete.locations
        ),
    ],
    include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only these, as in '*.mov'. Repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Not these, neither sent nor deleted. Repeatable."),
    ] = None,
    checksum: Annotated[
        bool, typer.Option("--checksum", help="Compare files by digest instead of size and time.")
    ] = False,
    bwlimit: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Limit per second: 50M is bytes (K is 1024), 10Mbit is bits."),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make DESTINATION equal to SOURCE, after a preview.

    Sends what differs, and deletes what the source does not have. Shows first what would be sent and deleted,
    and asks. It is `cp --delete-extra --watch` after
    `cp --delete-extra --dry-run --watch`; use these for more options.

    \b
      crosshaul sync server-b:/data/raw/ server-c:/archive/raw/
    """
    from agent.cli import wildcards
    from agent.cli.api import connected
    from agent.cli.commands.cp import create, request_body
    from agent.cli.watch import follow

    wildcards.refuse(source, [destination])
    options: dict[str, Any] = {
        "include": include or [],
        "exclude": exclude or [],
        "compare": "checksum" if checksum else "time",
        "bandwidth_limit": bandwidth.rate("--bwlimit", bwlimit),
        "delete_extra": True,
    }
    order = request_body(source, [destination], "fan_out", options)
    rehearsal = request_body(source, [destination], "fan_out", {**options, "dry_run": True})
    with connected() as api:
        preview = follow(api, create(api, rehearsal)["transfer_id"], as_json=as_json)
        if not (question := _question(preview, destination)):
            output.note("Nothing to do: the destination is equal to the source.")
            return
        output.confirm(question, yes=yes)
        follow(api, create(api, order)["transfer_id"], as_json=as_json)


def _question(preview: "TransferView", destination: str) -> str:
    """Return what to ask before the preview is carried out; empty if it would change nothing."""
    from agent.cli.text import counted

    found = [hop.preview for hop in preview.hops if hop.preview]
    written = sum(one.sent.files + one.replaced.files for one in found)
    removed = sum(one.removed.files for one in found)
    if not written and not removed:
        return ""
    return f"Send {counted(written, 'file')} and delete {counted(removed, 'file')} at {destination}?"
