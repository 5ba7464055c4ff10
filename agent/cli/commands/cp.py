"""`cp`: start a transfer."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agent.cli import bandwidth, complete, output
from agent.cli.commands.agents import Json
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.api import ApiClient

Overwrite = Literal["always", "newer", "never", "fail"]
Verify = Literal["transfer", "reread"]
Symlinks = Literal["keep", "skip", "follow"]
Owner = Literal["agent", "names", "ids"]
Priority = Literal["low", "normal", "high"]
Relay = Literal["never", "allowed"]
IfOffline = Literal["queue", "refuse"]


def cp(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="AGENT:/PATH, AGENT:REMOTE:PATH or s3://BUCKET/PREFIX",
            autocompletion=complete.locations,
        ),
    ],
    destinations: Annotated[
        list[str],
        typer.Argument(
            metavar="DESTINATION",
            help="One or more, written like the source.",
            autocompletion=complete.locations,
        ),
    ],
    chain: Annotated[
        bool, typer.Option("--chain", help="Copy from each destination to the next one.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", "-w", help="Show progress until the end; exit with 0 only if all files arrived."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; show what would be sent, replaced and removed.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Copy only these, as in '*.mov' or '/raw/**'. Repeatable."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Skip these, as in 'proxies/'. Repeatable."),
    ] = None,
    overwrite: Annotated[
        Overwrite, typer.Option(help="Whether to overwrite an existing file that differs.")
    ] = "always",
    checksum: Annotated[
        bool, typer.Option("--checksum", help="Compare files by digest instead of size and time.")
    ] = False,
    delete_extra: Annotated[
        bool,
        typer.Option("--delete-extra", help="Delete files at the destination that the source does not have."),
    ] = False,
    move: Annotated[
        bool,
        typer.Option("--move", help="Delete each file at the source once it is complete at the destination."),
    ] = False,
    verify: Annotated[
        Verify,
        typer.Option(help="transfer: check digests on arrival. reread: also read files back from the disk."),
    ] = "transfer",
    symlinks: Annotated[
        Symlinks, typer.Option(help="Symbolic links: copy as links, skip, or follow.")
    ] = "keep",
    owner: Annotated[
        Owner,
        typer.Option(
            help="Owner of the files: the destination's agent, or the source's owner by name or by id."
        ),
    ] = "agent",
    streams: Annotated[
        int | None, typer.Option(min=1, max=16, help="Parallel connections; default: chosen by the agent.")
    ] = None,
    bwlimit: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Limit per second: 50M is bytes (K is 1024), 10Mbit is bits."),
    ] = None,
    bwlimit_at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WINDOW",
            help="Limit at certain hours, as in 'mon-fri 08:00-18:00 10M'; off means no limit.",
        ),
    ] = None,
    priority: Annotated[
        Priority, typer.Option(help="Order in the queue, and share of a busy network.")
    ] = "normal",
    relay: Annotated[
        Relay, typer.Option(help="If neither agent can reach the other: fail, or relay encrypted through S3.")
    ] = "never",
    whole_hops: Annotated[
        bool,
        typer.Option(
            "--whole-hops", help="In a chain: start a hop when the hop before is complete, not file by file."
        ),
    ] = False,
    if_offline: Annotated[
        IfOffline, typer.Option(help="If an agent is offline: wait for it, or refuse.")
    ] = "queue",
    storage_class: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Storage class of the objects in S3, as in STANDARD_IA."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Tag of the objects in S3. Repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy files between agents, remotes and S3.

    A slash at the end means the same as in rsync:

    \b
      server-b:/data/raw/  server-c:/archive/  the contents of raw, into /archive/
      server-b:/data/raw   server-c:/archive/   raw itself, as /archive/raw
      server-b:/data/raw   server-c:/archive    raw itself, under the new name /archive

    Files that exist with the same size and time are not sent again, so after a failure the same command can
    be repeated and sends only what is missing.
    """
    from agent.cli import arguments, wildcards

    wildcards.refuse(source, destinations)
    body = request_body(
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
            "storage_class": storage_class,
            "object_tags": arguments.tags(tag or []),
        },
    )
    _start(body, watch, as_json)


def _start(body: dict[str, Any], watch: bool, as_json: bool) -> None:
    from agent.cli.api import connected

    with connected() as api:
        answer = create(api, body)
        if watch:
            _follow(api, answer["transfer_id"], as_json)
        elif as_json:
            output.print_json(answer)
        else:
            _next_steps(api, answer)


def create(api: "ApiClient", body: dict[str, Any]) -> dict[str, Any]:
    """Create a transfer and return the API's answer; an unknown agent is explained."""
    from agent.cli.agent_names import suggested

    ends = [body["source"], *body["destinations"]]
    with suggested(api, [end.get("agent_id") for end in ends]):
        answer: dict[str, Any] = api.post("transfers", body=body)
    return answer


def request_body(source: str, destinations: list[str], shape: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the body of the request for a transfer.

    Raises:
        CliError: A location or an option is not valid.
    """
    from agent.cli.arguments import validated
    from events.requests import TransferRequest

    request = validated(
        TransferRequest, source=source, destinations=destinations, shape=shape, options=options
    )
    return request.model_dump(mode="json")


def _follow(api: "ApiClient", transfer_id: str, as_json: bool) -> None:
    from agent.cli.watch import follow

    follow(api, transfer_id, as_json=as_json)


def _next_steps(api: "ApiClient", answer: dict[str, Any]) -> None:
    from agent.cli.waiting import AgentCache, reasons
    from events.views import TransferView

    transfer_id = clean(answer["transfer_id"])
    if answer["state"] == "awaiting_approval":
        output.say(f"Transfer {transfer_id} needs approval by a second person.", style="yellow")
        output.say(f"  crosshaul approve {transfer_id}         by another person")
    else:
        output.say(f"Transfer {transfer_id} is created.")
        for reason in reasons(TransferView.model_validate(answer), AgentCache(api)):
            output.say(f"  It {clean(reason)}.", style="yellow")
    output.say(f"  crosshaul show {transfer_id} --watch    to follow it")
    output.say(f"  crosshaul cancel {transfer_id}         to cancel it")
