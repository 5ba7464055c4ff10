"""`costs`: print what the transfers of a month cost on AWS."""

import csv
import sys
from enum import StrEnum
from typing import Annotated

import typer

from agent.cli import output
from agent.cli.commands.agents import Json
from agent.cli.text import csv_cell, money, size


class Origin(StrEnum):
    """What costs are summed by."""

    TEMPLATE = "template"
    AGENT = "agent"
    PERSON = "person"


def costs(
    month: Annotated[
        str | None, typer.Option("--month", metavar="YYYY-MM", help="Default: this month, in UTC.")
    ] = None,
    by: Annotated[
        Origin,
        typer.Option(
            "--by",
            help="Sum by template, by the agent that the bytes come from (from S3: the agent that fetches "
            "them), or by person.",
        ),
    ] = Origin.TEMPLATE,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")] = False,
    as_json: Json = False,
) -> None:
    """Print what a month's transfers cost on AWS.

    Transfers that ended in the month are summed: the thousand most expensive sums, then one of all others.

    \b
      crosshaul costs --month 2026-11 --by person --csv > costs.csv

    Costs are an upper bound by list prices: requests, egress and relay. `crosshaul show` prints those of one
    transfer.
    """
    from agent.cli.api import connected
    from agent.cli.tables import Column, show
    from events.views import CostSum, CostsView

    with connected() as api:
        answer = api.get("costs", by=by.value, **({"month": month} if month else {}))
    view = CostsView.model_validate(answer)
    sums = view.sums if view.others is None else (*view.sums, view.others)
    if as_json:
        return output.print_json(answer)
    if as_csv:
        table = csv.writer(sys.stdout)
        names = list(CostSum.model_fields)
        table.writerow(("month", "by", *names))
        for one in sums:
            table.writerow((view.month, view.by, *(csv_cell(getattr(one, name)) for name in names)))
        return None
    if not view.sums:
        return output.say(f"No transfer ended in {view.month}.")
    columns = (
        Column(view.by.upper()),
        Column("TRANSFERS", right=True, leaves=2),
        Column("ARRIVED", right=True, leaves=1),
        Column("COST", right=True),
        Column("STORAGE A MONTH", right=True, leaves=3),
    )
    rows = [
        (
            one.name,
            str(one.transfers),
            size(one.bytes_arrived),
            money(one.dollars),
            money(one.storage_a_month),
        )
        for one in sums
    ]
    total = sum(one.dollars for one in sums)
    show(columns, rows)
    return output.note(f"{view.month}: {money(total)} in all")
