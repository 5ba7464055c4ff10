"""`audit`: who did what; as files for others; and the proof that nothing was taken out or changed."""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import output
from agent.cli.commands.agents import Json
from agent.cli.errors import CliError, Exit
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.tables import Cell
    from events.audit import AuditRecord

app = typer.Typer(help="Read, export and verify the audit.", no_args_is_help=True)

Who = Annotated[
    str | None,
    typer.Option(
        "--who", metavar="PERSON", help="Only what this person did: an id, or who has this address now."
    ),
]
Agent = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only what is about this agent.")]
Transfer = Annotated[str | None, typer.Option("--transfer", metavar="ID", help="Only this transfer's.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="2h, 7d, 2026-11-24; else 30 days.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="As --since; else now.")]


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


@app.command("list")
def list_(
    who: Who = None, agent: Agent = None, transfer: Transfer = None, since: Since = None, until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="The latest so many.")] = 50,
    as_json: Json = False,
) -> None:  # fmt: skip
    """List changes and refusals, the newest first."""
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
    return when, record.who.name, where, record.action, record.about, record.decision, policies, record.why


@app.command()
def export(
    who: Who = None, agent: Agent = None, transfer: Transfer = None, since: Since = None, until: Until = None,
    form: Annotated[Format, typer.Option("--format", help="JSON Lines, or CSV.")] = Format.JSONL,
) -> None:  # fmt: skip
    """Write every record to stdout: as the API says it, one a line, or as CSV with a title line."""
    records = _records(who, agent, transfer, since, until)
    if form is Format.JSONL:
        for record in records:
            sys.stdout.write(json.dumps(record, ensure_ascii=True) + "\n")
        return
    from events.audit import AuditRecord

    names = [name for one in AuditRecord.model_fields for name in _columns(one)]
    table = csv.writer(sys.stdout)
    table.writerow(names)
    for record in records:
        flat = {**record, "who": record["who"]["name"], "who_id": record["who"]["id"]}
        table.writerow([_cell(flat.get(name)) for name in names])


def _columns(name: str) -> tuple[str, ...]:
    """Who did it is two: as what they were shown then, and the id."""
    return (name, f"{name}_id") if name == "who" else (name,)


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _cell(value: Any) -> str:
    """What is more than a text, as JSON. A spreadsheet must not take a name for a formula."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


@app.command()
def verify(
    since: Since = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="SHA256", help="The seals' key must have this fingerprint.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove that no record was taken out, changed or slipped in.

    Every record is looked up in the day's chain, every chain in the day's seal, and every seal's signature
    verified. Ends with 1 if anything is wrong. Today's chain is sealed after midnight (UTC): until then its
    end could be cut off unseen.
    """
    from agent.cli.api import connected
    from agent.cli.proof import Audit, verified
    from events.audit import AuditLink, AuditSealsView

    begin = datetime.fromisoformat(_moment(since) or _moment("30d") or "").astimezone(UTC)
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
        pages = api.pages("audit", since=_text(midnight))
        records = tuple(_models([record for page in pages for record in page["records"]]))
    proof = verified(Audit(records, links, seals.seals, seals.keys), today)
    if key and key not in proof.keys:
        raise CliError(f"the seals' key is {', '.join(proof.keys)}", "Ask why it changed.", Exit.FAILED)
    if as_json:
        output.print_json(asdict(proof))
    else:
        _tell(proof.records, proof.seals, proof.keys, proof.flaws)
    if proof.flaws:
        raise typer.Exit(Exit.FAILED)


def _tell(records: int, seals: int, keys: list[str], flaws: list[str]) -> None:
    from agent.cli.text import counted

    for flaw in flaws:
        output.say(clean(flaw), style="red")
    checked = f"{counted(records, 'record')} and {counted(seals, 'seal')} checked"
    wrong = counted(len(flaws), "thing is wrong", "things are wrong") if flaws else "all is as it was written"
    output.say(f"{checked}: {wrong}.")
    for key in keys:
        output.note(f"signed with the key {key} (compare with --key)")


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
        raise CliError("--who, --agent and --transfer do not go together", "Ask for one of them.")
    with connected() as api:
        whole = find(api, transfer) if transfer else None
        start, end = _moment(since), _moment(until)
        for page in api.pages("audit", person=who, agent=agent, transfer_id=whole, since=start, until=end):
            yield from page["records"]


def _models(records: list[dict[str, Any]]) -> "Iterator[AuditRecord]":
    from events.audit import AuditRecord

    return map(AuditRecord.model_validate, records)


def _moment(text: str | None) -> str | None:
    from agent.cli.text import read_moment

    return None if text is None else _text(read_moment(text))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
