"""`cp`: ask for a transfer."""

from typing import Annotated, Any, Literal

import typer

from agent.cli import output
from agent.cli.agents import Json
from agent.cli.errors import Trouble
from agent.cli.text import clean

Overwrite = Literal["always", "newer", "never", "fail"]
Verify = Literal["transfer", "reread"]
Symlinks = Literal["keep", "skip", "follow"]
IfOffline = Literal["queue", "refuse"]


def cp(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="AGENT:/PATH or s3://BUCKET/PREFIX")],
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
    overwrite: Annotated[
        Overwrite, typer.Option(help="What to do with a file that is there already and differs.")
    ] = "always",
    verify: Annotated[
        Verify,
        typer.Option(help="transfer: digests are checked on arrival. reread: also read back from the disk."),
    ] = "transfer",
    symlinks: Annotated[
        Symlinks, typer.Option(help="Symbolic links: as they are, left out, or followed.")
    ] = "keep",
    streams: Annotated[
        int | None, typer.Option(min=1, max=16, help="Parallel connections; the agent chooses if left out.")
    ] = None,
    bwlimit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Bytes per second: 500K, 50M, 1.5G (1024 each).")
    ] = None,
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
            "overwrite": overwrite,
            "verify": verify,
            "symlinks": symlinks,
            "streams": streams,
            "bandwidth_limit": _rate(bwlimit),
            "if_offline": if_offline,
        },
    )
    with connected() as api:
        answer = api.post("transfers", body=body)
        if watch:
            _follow(api, answer["transfer_id"], as_json)
        elif as_json:
            output.data(answer)
        else:
            _next_steps(answer["transfer_id"], waits=answer["state"] == "awaiting_approval")


def _request(source: str, destinations: list[str], shape: str, options: dict[str, Any]) -> dict[str, Any]:
    from agent.cli.asked import asked
    from events.requests import TransferRequest

    request = asked(TransferRequest, source=source, destinations=destinations, shape=shape, options=options)
    return request.model_dump(mode="json")


def _rate(text: str | None) -> int | None:
    """Bytes per second from what was typed; at least 1 KiB/s, below which nothing would end."""
    from agent.cli.text import read_size

    if text is None:
        return None
    if (rate := read_size(text)) < 1024:
        raise Trouble(f"--bwlimit {text} is less than 1K", "Give 1K or more, as in 50M.")
    return rate


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
