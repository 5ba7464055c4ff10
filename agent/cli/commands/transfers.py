"""`transfers`, `show`, `wait`, `cancel`, `pause`, `resume`, `retry`, `acknowledge`, `approve`, `decline`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import complete, output
from agent.cli.commands.agents import Json
from agent.cli.errors import CliError, Exit
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.api import ApiClient
    from agent.cli.tables import Cell
    from events.views import TransferSummary

TransferId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="A transfer's id; for a recent one, its first characters.",
        autocompletion=complete.transfer_ids,
    ),
]
_ID_CHARS = 20
"""Length of a transfer id, in characters."""
_RECENT_COUNT = 100
"""How many recent transfers are searched for an abbreviated id."""


def transfers(
    status: Annotated[
        str | None,
        typer.Option(
            "--state", "--status", help="awaiting_approval, queued, running, paused, succeeded, failed, …"
        ),
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(
            metavar="REASON",
            help="Only those that a person must look at, of any age: awaiting_approval, paused (by an agent),"
            " failed, partially_failed.",
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Only those in whose paths, objects, id, template or requester each word of this occurs, of"
            " any age.",
        ),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only transfers from or to this agent.", autocompletion=complete.agents
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="NAME", help="Only transfers from this agent.", autocompletion=complete.agents
        ),
    ] = None,
    destination: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="NAME", help="Only transfers to this agent.", autocompletion=complete.agents
        ),
    ] = None,
    template: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only transfers started by this template.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="PERSON", help="Only transfers that this person (e-mail) requested.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Created since: 2h, 7d, 2026-11-24, 2026-11-24T08:30")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Created before this time.")] = None,
    sort: Annotated[str, typer.Option(metavar="ORDER", help="newest or oldest first.")] = "newest",
    limit: Annotated[int, typer.Option(min=1, max=200, help="Transfers per page.")] = 20,
    everything: Annotated[bool, typer.Option("--all", "-a", help="All pages, not only the first.")] = False,
    as_json: Json = False,
) -> None:
    """List transfers, newest first. All criteria that are given must hold."""
    from agent.cli.agent_names import suggested
    from agent.cli.api import connected

    criteria = {
        "status": _state(status),
        "attention": _reason(attention),
        "search": search,
        "agent": agent,
        "source": source,
        "destination": destination,
        "template": template,
        "by": by,
        "since": _time(since),
        "until": _time(until),
    }
    order = _order(sort)
    with connected() as api:
        page: dict[str, Any] = {}
        found: list[Any] = []
        for page in api.pages("transfers", limit=limit, sort=order, **criteria):
            found += page["transfers"]
            if found and not everything:  # a page may be empty although more follow
                break
        names = [name for name in (agent, source, destination) if name]
        if names and not found:  # the API lists none for an agent that does not exist
            with suggested(api, names):
                for name in names:
                    api.get("agents", name)
        answer = {"transfers": found, "next": page.get("next")}
        if as_json:
            return output.print_json(answer)
        _list(answer, f"No transfers of the template {template}" if template else "No transfers")
        if page.get("next"):
            _note_more(api.get("transfers", "count", **criteria), len(found))
    return None


def _note_more(counted: dict[str, Any], shown: int) -> None:
    """Tell how many more transfers there are."""
    total = f"{counted['count']:,}{'' if counted['complete'] else ' or more'}"
    output.note(f"{shown:,} of {total}. For the others add --all, or a higher --limit.")


def _state(status: str | None) -> str | None:
    from events.states import TransferState

    if status is None or status in set(TransferState):
        return status
    raise CliError(f"{status!r} is not a transfer's status", f"Write one of {', '.join(TransferState)}.")


def _reason(attention: str | None) -> str | None:
    from events.states import Attention

    if attention is None or attention in set(Attention):
        return attention
    raise CliError(f"{attention!r} is no reason for attention", f"Write one of {', '.join(Attention)}.")


def _order(sort: str) -> str | None:
    """Return the order for the API, None for its own."""
    if sort not in {"newest", "oldest"}:
        raise CliError(f"{sort!r} is not an order", "Write newest or oldest.")
    return None if sort == "newest" else sort


def _time(text: str | None) -> str | None:
    from agent.cli.text import read_time, utc

    return None if text is None else utc(read_time(text))


def _list(answer: dict[str, Any], empty: str) -> None:
    """Print a table of transfers, or `empty` if there are none."""
    from events.views import TransfersView

    view = TransfersView.model_validate(answer)
    if view.transfers:
        _table(view.transfers)
    else:
        output.say(f"{empty}.")


def _table(found: "tuple[TransferSummary, ...]") -> None:
    from agent.cli.tables import Column, show

    columns = (
        Column("ID"),
        Column("STATUS"),
        Column("DONE", right=True),
        Column("CREATED", leaves=1),
        Column("FROM", elides=True, leaves=3),
        Column("TO", elides=True, leaves=2),
    )
    show(columns, map(_row, found))


def _row(transfer: "TransferSummary") -> "tuple[Cell, ...]":
    from agent.cli.progress import share
    from agent.cli.text import ago

    places = [str(place) for place in transfer.destinations]
    created = ago(transfer.created_at)
    source, state = str(transfer.source), transfer.state.value
    if transfer.dry_run:
        state += " (dry run)"
    return transfer.transfer_id, state, share(transfer.progress), created, source, places


def show(
    transfer_id: TransferId,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it until the end.")] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Print where the time went: queued, offered, moving, by hop.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a transfer, its hops, problems and timeline."""
    from agent.cli.api import connected

    if watch and trace:
        raise CliError("--watch and --trace exclude one another", "Show the times once it has ended.")

    with connected() as api:
        full_id = find(api, transfer_id)
        if watch:
            return _watch(api, full_id, as_json)
        answer = api.get("transfers", full_id)
        if trace:
            return _trace(api, answer, as_json)
        return output.print_json(answer) if as_json else _details(api, answer)


def wait(transfer_id: TransferId, as_json: Json = False) -> None:
    """Wait until a transfer ends.

    Exits with 0 only if all files arrived. Prints nothing until then, for scripts; `show --watch` shows the
    progress.
    """
    from agent.cli.api import connected
    from agent.cli.watch import conclude
    from agent.cli.watch import wait as wait_for

    with connected() as api:
        view = wait_for(api, find(api, transfer_id))
    if as_json:
        output.print_json(view.model_dump(mode="json"))
    conclude(view, quiet=as_json)


def _watch(api: "ApiClient", transfer_id: str, as_json: bool) -> None:
    from agent.cli.watch import follow

    follow(api, transfer_id, as_json=as_json)


def _trace(api: "ApiClient", answer: dict[str, Any], as_json: bool) -> None:
    from dataclasses import asdict
    from datetime import UTC, datetime

    from agent.cli.hop_times import complete_timeline, hop_times, print_times
    from events.views import TransferView

    view = TransferView.model_validate(answer)
    times = hop_times(view, complete_timeline(api, view), view.ended_at or datetime.now(UTC))
    if as_json:
        return output.print_json({"transfer_id": view.transfer_id, "hops": [asdict(one) for one in times]})
    return print_times(times)


def _details(api: "ApiClient", answer: dict[str, Any]) -> None:
    from agent.cli.details import print_transfer
    from agent.cli.waiting import AgentCache
    from events.views import TransferView

    print_transfer(TransferView.model_validate(answer), AgentCache(api))


def find(api: "ApiClient", start: str) -> str:
    """Return the full transfer id that begins with `start`, searching the most recent transfers.

    Raises:
        CliError: No recent transfer matches, or several do.
    """
    if len(start) == _ID_CHARS:
        return start
    recent: list[str] = []
    for page in api.pages("transfers"):
        recent += [one["transfer_id"] for one in page["transfers"]]
        if len(recent) >= _RECENT_COUNT:
            break
    match [one for one in recent if one.startswith(start)]:
        case [only]:
            return str(only)
        case []:
            advice = "List recent ones with `crosshaul transfers`; for an older one, give its full id."
            raise CliError(f"no recent transfer's id begins with {start!r}", advice, Exit.NOT_FOUND)
        case several:
            advice = "Give more characters: " + ", ".join(several[:5])
            raise CliError(f"{len(several)} transfers' ids begin with {start!r}", advice)


def cancel(transfer_id: TransferId, as_json: Json = False) -> None:
    """Cancel a transfer for good. Files that are complete at the destination stay."""
    _request_change(transfer_id, "cancel", "is being cancelled", as_json)


def pause(transfer_id: TransferId, as_json: Json = False) -> None:
    """Pause a transfer; partial files are kept for `resume`."""
    _request_change(transfer_id, "pause", "is being paused", as_json)


def resume(transfer_id: TransferId, as_json: Json = False) -> None:
    """Resume a paused transfer where it stopped."""
    _request_change(transfer_id, "resume", "is being resumed", as_json)


def retry(transfer_id: TransferId, as_json: Json = False) -> None:
    """Retry the failed hops of a transfer.

    Files that have arrived are not sent again.
    """
    _request_change(transfer_id, "retry", "is being retried", as_json)


def acknowledge(transfer_id: TransferId, as_json: Json = False) -> None:
    """Confirm that a failed transfer needs no further attention."""
    _request_change(transfer_id, "acknowledgment", "needs no further attention", as_json)


def approve(transfer_id: TransferId, as_json: Json = False) -> None:
    """Approve a transfer that another person started."""
    _request_change(transfer_id, "approval", "is approved and continues", as_json)


def decline(
    transfer_id: TransferId,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Reason, for the person who started it.")],
    as_json: Json = False,
) -> None:
    """Decline to approve a transfer, which cancels it."""
    _request_change(transfer_id, "decline", "is declined and cancelled", as_json, {"why": why})


def _request_change(
    start: str, verb: str, outcome: str, as_json: bool, body: dict[str, str] | None = None
) -> None:
    from agent.cli.api import connected

    with connected() as api:
        full_id = find(api, start)
        answer = api.post("transfers", full_id, verb, body=body)
    output.print_json(answer) if as_json else output.say(f"Transfer {clean(full_id)} {outcome}.")
