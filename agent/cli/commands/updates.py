"""`agents update` and `agents updates`: update agents to another version, in stages."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import output
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.tables import Cell
    from events.updates import MemberView, UpdateDetails, UpdateView

app = typer.Typer(help="List the updates of agents; show or cancel one.", invoke_without_command=True)

Json = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The id from `updates`.")]


def update(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME…", help="These agents.")] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="Default: the version published last.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Every agent with this tag. Repeatable.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every agent.")] = False,
    canary: Annotated[int, typer.Option(metavar="N", help="Number of agents in the first stage.")] = 1,
    percent: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N", help="Percentage of all agents after the next stage. Repeatable; default: 10."
        ),
    ] = None,
    abort_above: Annotated[
        str, typer.Option(metavar="N%", help="Stop the update if more agents than this fail in a stage.")
    ] = "20%",
    healthy_within: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Roll an agent back if the new version is not healthy within this time."
        ),
    ] = "5m",
    as_json: Json = False,
) -> None:
    """Update agents to another version: a few first, the others once those report healthy.

    \b
      crosshaul agents update --all
      crosshaul agents update --to 0.2.0 --tag site=berlin --canary 2 --percent 10 --percent 50
      crosshaul agents update server-b server-c --abort-above 0%
    """
    from agent.cli.api import connected
    from agent.cli.arguments import tags, validated
    from agent.cli.text import read_duration
    from events.updates import UpdateDetails, UpdateRequest

    request = validated(
        UpdateRequest,
        version=to,
        agents=names or [],
        tags=tags(tag or []),
        everyone=everyone,
        canaries=canary,
        percents=percent or [10],
        abort_above=abort_above.removesuffix("%"),
        healthy_within=int(read_duration(healthy_within).total_seconds()),
    )
    with connected() as api:
        answer = api.post("updates", body=request.model_dump(mode="json"))
    if as_json:
        return output.print_json(answer)
    view = UpdateDetails.model_validate(answer)
    first = ", ".join(one.agent_id for one in view.members if one.stage == 0)
    output.say(f"Update {view.update_id} to {view.version}: {first} first, of {len(view.members)} agents.")
    return output.say(f"`crosshaul agents updates show {view.update_id}` shows its progress.", style="dim")


@app.callback()
def updates(context: typer.Context, as_json: Json = False) -> None:
    """List the updates of agents; show or cancel one."""
    if context.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    from agent.cli.api import connected
    from agent.cli.tables import Column, show
    from events.updates import UpdatesView

    with connected() as api:
        found = [one for page in api.pages("updates") for one in page["updates"]]
    if as_json:
        return output.print_json({"updates": found})
    view = UpdatesView.model_validate({"updates": found})
    if not view.updates:
        return output.say("No updates. Start one with `crosshaul agents update --all`.")
    columns = (
        Column("ID"),
        Column("VERSION"),
        Column("STATE"),
        Column("STAGE", right=True),
        Column("UPDATED", right=True),
        Column("FAILED", right=True),
        Column("BEGUN", leaves=1),
        Column("BY", leaves=2),
    )
    newest_first = sorted(view.updates, key=lambda one: one.created_at, reverse=True)
    return show(columns, map(_row, newest_first))


def _row(one: "UpdateView") -> "tuple[Cell, ...]":
    from agent.cli.text import ago
    from events.updates import FAILED

    counts = one.counts
    failed = sum(counts.get(state, 0) for state in FAILED)
    done = f"{counts.get('succeeded', 0)} of {sum(counts.values())}"
    stage = f"{one.stage + 1} of {one.stages}"
    begun = ago(one.created_at)
    return one.update_id, one.version, one.state, stage, done, str(failed), begun, one.created_by.name


@app.command()
def show(update_id: Id, as_json: Json = False) -> None:
    """Show one update, agent by agent."""
    from agent.cli.api import connected
    from events.updates import UpdateDetails

    with connected() as api:
        answer = api.get("updates", update_id)
    if as_json:
        return output.print_json(answer)
    return _details(UpdateDetails.model_validate(answer))


def _details(view: "UpdateDetails") -> None:
    from agent.cli.tables import Column
    from agent.cli.tables import show as table

    style = output.STYLES.get(view.state, "")
    output.say(
        f"Update {view.update_id} to {view.version}  {view.state}, stage {view.stage + 1} of {view.stages}",
        style=f"bold {style}",
    )
    if view.problem:
        output.say(f"  {clean(view.problem.message)}")
    columns = (
        Column("AGENT"),
        Column("STAGE", right=True),
        Column("STATE"),
        Column("HAD", leaves=1),
        Column("WHY", folds=True),
    )
    table(columns, map(_member, view.members))


def _member(one: "MemberView") -> "tuple[Cell, ...]":
    return (
        one.agent_id,
        str(one.stage + 1),
        one.state.replace("_", " "),
        one.before,
        one.problem.message if one.problem else "",
    )


@app.command()
def cancel(update_id: Id, as_json: Json = False) -> None:
    """Cancel an update: start no further agent. Agents that have started finish, or roll back."""
    from agent.cli.api import connected
    from events.updates import UpdateDetails

    with connected() as api:
        answer = api.post("updates", update_id, "cancel")
    if as_json:
        return output.print_json(answer)
    view = UpdateDetails.model_validate(answer)
    done = view.counts.get("succeeded", 0)
    return output.say(
        f"Cancelled {view.update_id}: {done} of {len(view.members)} agents have {view.version}."
    )
