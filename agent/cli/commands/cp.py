"""`cp`: ask for a transfer."""

from typing import Annotated, Any, Literal

import typer

from agent.cli import bandwidth, output
from agent.cli.commands.agents import Json
from agent.cli.text import clean

Overwrite = Literal["always", "newer", "never", "fail"]
Verify = Literal["transfer", "reread"]
Symlinks = Literal["keep", "skip", "follow"]
Owner = Literal["agent", "names", "ids"]
Priority = Literal["low", "normal", "high"]
Relay = Literal["never", "allowed"]
IfOffline = Literal["queue", "refuse"]


def cp(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="AGENT:/PATH, AGENT:REMOTE:PATH or s3://BUCKET/PREFIX")
    ],
    destinations: Annotated[
        list[str], typer.Argument(metavar="DESTINATION", help="One or more, written like the source.")
    ],
    chain: Annotated[
        bool, typer.Option("--chain", help="Each destination is served from the one before it.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Show progress until the end; 0 only if all arrived."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; tell what would be sent, replaced and removed.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only these, as in '*.mov' or '/raw/**'. May be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="None of these, as in 'proxies/'. May be repeated."),
    ] = None,
    overwrite: Annotated[
        Overwrite, typer.Option(help="What to do with a file that is there already and differs.")
    ] = "always",
    checksum: Annotated[
        bool, typer.Option("--checksum", help="Compare by digest; without it by size and time.")
    ] = False,
    delete_extra: Annotated[
        bool,
        typer.Option("--delete-extra", help="Remove at the destination what the source does not have."),
    ] = False,
    move: Annotated[
        bool, typer.Option("--move", help="Remove each file at the source once it stands at the destination.")
    ] = False,
    verify: Annotated[
        Verify,
        typer.Option(help="transfer: digests are checked on arrival. reread: also read back from the disk."),
    ] = "transfer",
    symlinks: Annotated[
        Symlinks, typer.Option(help="Symbolic links: as they are, left out, or followed.")
    ] = "keep",
    owner: Annotated[
        Owner,
        typer.Option(
            help="Whom files belong to: the destination's agent, or as at the source, by name or id."
        ),
    ] = "agent",
    streams: Annotated[
        int | None, typer.Option(min=1, max=16, help="Parallel connections; the agent chooses if left out.")
    ] = None,
    bwlimit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Bytes per second: 500K, 50M, 1.5G (1024 each).")
    ] = None,
    bwlimit_at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WINDOW",
            help="Another limit at these hours, as in 'mon-fri 08:00-18:00 10M'; off for none.",
        ),
    ] = None,
    priority: Annotated[
        Priority, typer.Option(help="Whose turn comes first, and how a busy line is shared.")
    ] = "normal",
    relay: Annotated[
        Relay, typer.Option(help="If neither agent can reach the other: give up, or go through S3, sealed.")
    ] = "never",
    whole_hops: Annotated[
        bool,
        typer.Option(
            "--whole-hops", help="In a chain: go on once a hop has all, not with each of its files."
        ),
    ] = False,
    if_offline: Annotated[
        IfOffline, typer.Option(help="If an agent is away: wait for it, or refuse.")
    ] = "queue",
    as_json: Json = False,
) -> None:
    """Copy files from an agent or S3 to one or more agents or to S3.

    The slash at the end means what it means to rsync:

    \b
      server-b:/data/raw/  server-c:/archive/   what is in raw, in /archive/
      server-b:/data/raw   server-c:/archive/   raw itself, as /archive/raw
      server-b:/data/raw   server-c:/archive    raw itself, under the new name /archive

    What is there already with the same size and time is not sent again, so the same command may be repeated
    after a failure and sends only what is missing.
    """
    from agent.cli.api import connected

    body = _request(
        source,
        destinations,
        "chain" if chain else "fan_out",
        {
            "include": include or [],
            "exclude": exclude or [],
            "overwrite": overwrite,
            "compare": "checksum" if checksum else "time",
            "delete_extra": delete_extra,
            "move": move,
            "dry_run": dry_run,
            "verify": verify,
            "symlinks": symlinks,
            "owner": owner,
            "streams": streams,
            "bandwidth_limit": bandwidth.rate("--bwlimit", bwlimit),
            "bandwidth_windows": [bandwidth.window(text) for text in bwlimit_at or []],
            "priority": priority,
            "relay": relay,
            "chain": "whole" if whole_hops else "stream",
            "if_offline": if_offline,
        },
    )
    with connected() as api:
        answer = api.post("transfers", body=body)
        if watch:
            _follow(api, answer["transfer_id"], as_json)
        elif as_json:
            output.print_json(answer)
        else:
            _next_steps(answer["transfer_id"], waits=answer["state"] == "awaiting_approval")


def _request(source: str, destinations: list[str], shape: str, options: dict[str, Any]) -> dict[str, Any]:
    from agent.cli.arguments import validated
    from events.requests import TransferRequest

    request = validated(
        TransferRequest, source=source, destinations=destinations, shape=shape, options=options
    )
    return request.model_dump(mode="json")


def _follow(api: Any, transfer_id: str, as_json: bool) -> None:
    from agent.cli.watch import follow

    follow(api, transfer_id, as_json=as_json)


def _next_steps(transfer_id: str, *, waits: bool) -> None:
    if waits:
        output.say(f"Transfer {clean(transfer_id)} waits for a second person to agree.", style="yellow")
        output.say(f"  crosshaul approve {transfer_id}         by somebody else")
    else:
        output.say(f"Transfer {clean(transfer_id)} is on its way.")
    output.say(f"  crosshaul show {transfer_id} --watch    to look at it")
    output.say(f"  crosshaul cancel {transfer_id}          to stop it")
