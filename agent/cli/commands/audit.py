"""`audit`: list, export and verify the audit log."""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import output
from agent.cli.commands.agents import Json
from agent.cli.errors import CliError, Exit
from agent.cli.text import Format, clean, csv_cell, utc

if TYPE_CHECKING:
    from agent.cli.tables import Cell
    from events.audit import AuditRecord

app = typer.Typer(help="List, export and verify the audit log.", no_args_is_help=True)

Who = Annotated[
    str | None,
    typer.Option(
        "--who", metavar="PERSON", help="Only changes by this person: a user id or a current e-mail address."
    ),
]
Agent = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only records about this agent.")]
Transfer = Annotated[
    str | None, typer.Option("--transfer", metavar="ID", help="Only records about this transfer.")
]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="2h, 7d or 2026-11-24; default: 30 days ago.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Written like --since; default: now.")]


_FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""No record is older than this, so `verify` asks for no earlier day."""


@app.command("list")
def list_(
    who: Who = None, agent: Agent = None, transfer: Transfer = None, since: Since = None, until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most this many records.")] = 50,
    as_json: Json = False,
) -> None:  # fmt: skip
    """List changes and refusals, newest first."""
    from agent.cli.tables import Column, show

    found = []
    for record in _records(who, agent, transfer, since, until):
        found.append(record)
        if len(found) == limit:
            break
    if as_json:
        return output.print_json({"records": found})
    if not found:
        return output.say("No records.")
    columns = (
        Column("WHEN"),
        Column("WHO"),
        Column("FROM", leaves=3),
        Column("WHAT"),
        Column("ABOUT", folds=True),
        Column("DECISION"),
        Column("POLICIES", folds=True, leaves=1),
        Column("WHY", folds=True, leaves=2),
    )
    return show(columns, map(_row, _models(found)))


def _row(record: "AuditRecord") -> "tuple[Cell, ...]":
    from agent.cli.text import clock

    when, where, policies = clock(record.at), record.address or "–", ", ".join(record.policies)
    decision = f"{record.decision} +{record.repeats}" if record.repeats else record.decision
    return when, record.who.name, where, record.action, record.about, decision, policies, record.why


@app.command()
def export(
    who: Who = None, agent: Agent = None, transfer: Transfer = None, since: Since = None, until: Until = None,
    form: Annotated[Format, typer.Option("--format", help="JSON Lines, or CSV.")] = Format.JSONL,
) -> None:  # fmt: skip
    """Write every record to stdout, as JSON Lines or as CSV with a header line."""
    records = _records(who, agent, transfer, since, until)
    if form is Format.JSONL:
        for record in records:
            sys.stdout.write(json.dumps(record, ensure_ascii=True) + "\n")
        return
    from events.audit import AuditRecord

    names = [name for field in AuditRecord.model_fields for name in _columns(field)]
    table = csv.writer(sys.stdout)
    table.writerow(names)
    for record in records:
        flat = {**record, "who": record["who"]["name"], "who_id": record["who"]["id"]}
        table.writerow([csv_cell(flat.get(name)) for name in names])


def _columns(name: str) -> tuple[str, ...]:
    """Return the CSV columns of a field: the person becomes two, display name and id."""
    return (name, f"{name}_id") if name == "who" else (name,)


@app.command()
def verify(
    since: Since = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="SHA256", help="Required fingerprint of the key that signed the seals."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify that no record was removed, changed or inserted.

    Checks every record against the day's chain, every chain against the day's seal, and the signature of
    every seal. Exits with 1 if anything is wrong. Today's chain is sealed after midnight (UTC): until then,
    records removed from its end would not be noticed.
    """
    from agent.cli.api import connected
    from agent.cli.proof import Audit, verified
    from events.audit import AuditLink, AuditSealsView

    begin = max(datetime.fromisoformat(_time(since) or _time("30d") or ""), _FIRST_DAY)
    today = datetime.now(UTC)
    with connected() as api:
        seals = AuditSealsView.model_validate(api.get("audit", "seals"))
        days = _days(begin, today)
        links = {
            day: tuple(
                AuditLink.model_validate(link)
                for page in api.pages("audit", "chain", day)
                for link in page["links"]
            )
            for day in days
        }
        midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        pages = api.pages("audit", since=utc(midnight))
        records = tuple(_models([record for page in pages for record in page["records"]]))
    proof = verified(Audit(records, links, seals.seals, seals.keys), today)
    if key and key not in proof.keys:
        raise CliError(
            f"the seals are signed with {', '.join(proof.keys)}", "Find out why the key changed.", Exit.FAILED
        )
    if as_json:
        output.print_json(asdict(proof))
    else:
        _print_proof(proof.records, proof.seals, proof.keys, proof.flaws)
    if proof.flaws:
        raise typer.Exit(Exit.FAILED)


def _print_proof(records: int, seals: int, keys: list[str], flaws: list[str]) -> None:
    from agent.cli.text import counted

    for flaw in flaws:
        output.say(clean(flaw), style="red")
    checked = f"{counted(records, 'record')} and {counted(seals, 'seal')} checked"
    result = counted(len(flaws), "error") if flaws else "nothing was changed"
    output.say(f"{checked}: {result}.")
    for key in keys:
        output.note(f"signed with key {key} (check it with --key)")


def _days(begin: datetime, end: datetime) -> list[str]:
    from datetime import timedelta

    count = (end.date() - begin.date()).days
    return [(begin.date() + timedelta(days=number)).isoformat() for number in range(count + 1)]


def _records(
    who: str | None, agent: str | None, transfer: str | None, since: str | None, until: str | None
) -> Iterator[dict[str, Any]]:
    from agent.cli.api import connected
    from agent.cli.commands.transfers import find

    if sum(given is not None for given in (who, agent, transfer)) > 1:
        raise CliError("--who, --agent and --transfer cannot be combined", "Use one of them.")
    with connected() as api:
        transfer_id = find(api, transfer) if transfer else None
        start, end = _time(since), _time(until)
        for page in api.pages(
            "audit", person=who, agent=agent, transfer_id=transfer_id, since=start, until=end
        ):
            yield from page["records"]


def _models(records: list[dict[str, Any]]) -> "Iterator[AuditRecord]":
    from events.audit import AuditRecord

    return map(AuditRecord.model_validate, records)


def _time(text: str | None) -> str | None:
    from agent.cli.text import read_time

    return None if text is None else utc(read_time(text))
