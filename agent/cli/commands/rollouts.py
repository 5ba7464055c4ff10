"""`agents rollout`: enroll many hosts with one token."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import output
from agent.cli.errors import CliError
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.tables import Cell
    from events.rollouts import RolloutView, StartedRolloutView

app = typer.Typer(help="Enroll many hosts with one token.", invoke_without_command=True)

Json = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]


@app.callback()
def rollout(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Names of the agents: 'render-{hostname}'.")
    ] = None,
    count: Annotated[int | None, typer.Option(metavar="N", help="How many hosts may join.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Repeatable.")] = None,
    root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH:ro|rw", help="A directory they may read (ro) or also write (rw). Repeatable."
        ),
    ] = None,
    expires: Annotated[str, typer.Option(metavar="TIME", help="How long the token is valid.")] = "1d",
    as_json: Json = False,
) -> None:
    """Enroll many hosts with one token: print it, and the command to run on each host.

    \b
      crosshaul agents rollout --name 'render-{hostname}' --count 200 --expires 7d --root /data:rw
      crosshaul agents rollout list
      crosshaul agents rollout end ID
    """
    if context.invoked_subcommand is not None:
        return
    if name is None or count is None:
        raise CliError("a rollout needs a name pattern and a count", "Write --name PATTERN --count N.")
    _start(name, count, tag or [], root or [], expires, as_json)


def _start(name: str, count: int, tag: list[str], root: list[str], expires: str, as_json: bool) -> None:
    from agent.cli.api import connected
    from agent.cli.arguments import NO_ROOTS, roots, tags, validated
    from agent.cli.text import read_duration
    from events.rollouts import HOSTNAME, RolloutRequest, StartedRolloutView

    if name.count(HOSTNAME) != 1:
        raise CliError(
            f"{name!r} would give every host the same name",
            f"Write {HOSTNAME} in it exactly once: 'render-{HOSTNAME}'.",
        )
    seconds = int(read_duration(expires).total_seconds())
    spec = {"tags": tags(tag), "roots": roots(root), "expires_in": seconds}
    request = validated(RolloutRequest, name=name, count=count, **spec)
    with connected() as api:
        answer = api.post("rollouts", body=request.model_dump(mode="json"))
    if as_json:
        return output.print_json(answer)
    if not root:
        output.note(NO_ROOTS)
    return _print_started(StartedRolloutView.model_validate(answer))


def _print_started(view: "StartedRolloutView") -> None:
    from agent.cli.text import clock

    output.say(f"Rollout {view.rollout_id}: on each of the {view.count} hosts, run:\n")
    output.say(f"  {clean(view.command)}\n", style="bold")
    output.say(
        "It reads this token from that file; the token is not shown again. Only root may read the file:\n"
    )
    output.say(f"  {clean(view.token)}\n", style="bold")
    output.say(f"Each host becomes {view.name}. The token is valid until {clock(view.expires_at)}.")
    output.say(f"`crosshaul agents rollout end {view.rollout_id}` ends it earlier.", style="dim")


@app.command("list")
def list_rollouts(as_json: Json = False) -> None:
    """List the rollouts, and how many hosts have joined by each."""
    from agent.cli.api import connected
    from events.rollouts import RolloutsView

    with connected() as api:
        found = [one for page in api.pages("rollouts") for one in page["rollouts"]]
    if as_json:
        return output.print_json({"rollouts": found})
    view = RolloutsView.model_validate({"rollouts": found})
    if not view.rollouts:
        return output.say("No rollouts. Start one with `crosshaul agents rollout --name PATTERN --count N`.")
    return _table(view.rollouts)


def _table(found: "tuple[RolloutView, ...]") -> None:
    from agent.cli.tables import Column, show

    columns = (
        Column("ID"),
        Column("NAME"),
        Column("STATE"),
        Column("USED", right=True),
        Column("LEFT", right=True),
        Column("UNTIL", leaves=1),
        Column("BY", leaves=2),
    )
    newest_first = sorted(found, key=lambda one: one.created_at, reverse=True)
    show(columns, map(_row, newest_first))


def _row(one: "RolloutView") -> "tuple[Cell, ...]":
    from agent.cli.text import clock

    left = one.count - one.used if one.state == "open" else 0
    state = one.state.replace("_", " ")
    return (
        one.rollout_id,
        one.name,
        state,
        str(one.used),
        str(left),
        clock(one.expires_at),
        one.created_by.name,
    )


@app.command()
def end(
    rollout_id: Annotated[str, typer.Argument(metavar="ID", help="The id from `list`.")],
    as_json: Json = False,
) -> None:
    """End a rollout: its token is revoked. Agents that have joined stay."""
    from agent.cli.api import connected
    from events.rollouts import RolloutView

    with connected() as api:
        answer = api.post("rollouts", rollout_id, "end")
    if as_json:
        return output.print_json(answer)
    view = RolloutView.model_validate(answer)
    return output.say(f"Ended {view.rollout_id}: {view.used} of {view.count} hosts have joined and stay.")
