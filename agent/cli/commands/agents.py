"""`agents`: the fleet, enrolment, new keys, new versions and removal."""

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli import output
from agent.cli.commands import rollouts, updates
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.tables import Cell
    from events.views import AgentView

app = typer.Typer(help="List the agents; enrol, rotate and remove them.", invoke_without_command=True)
app.add_typer(rollouts.app, name="rollout")
app.add_typer(updates.app, name="updates")
app.command("update")(updates.update)

Json = Annotated[bool, typer.Option("--json", help="Print what the API said, as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.callback()
def agents(context: typer.Context, as_json: Json = False) -> None:
    """List the agents; enrol, rotate and remove them."""
    if context.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    from agent.cli.api import connected
    from events.views import AgentsView

    with connected() as api:
        found = [agent for page in api.pages("agents") for agent in page["agents"]]
    if as_json:
        return output.print_json({"agents": found})
    view = AgentsView.model_validate({"agents": found})
    if not view.agents:
        return output.say("No agents yet. `crosshaul agents enroll NAME` adds the first.")
    return _table(view.agents)


def _table(found: "tuple[AgentView, ...]") -> None:
    from agent.cli.tables import Column, show

    columns = (
        Column("NAME"),
        Column("STATUS"),
        Column("HOST", leaves=1),
        Column("ROOTS"),
        Column("FREE", leaves=4),
        Column("HEARTBEAT", leaves=3),
        Column("RUNNING", right=True, leaves=2),
        Column("KEYS", leaves=5),
        Column("VERSION", leaves=6),
    )
    show(columns, map(_row, found))


def _row(agent: "AgentView") -> "tuple[Cell, ...]":
    from agent.cli.text import ago, size

    host = f"{agent.hostname} ({agent.ip_address})" if agent.ip_address else agent.hostname
    roots = [f"{root.path} {root.access}" for root in agent.roots]
    free = [size(root.free) for root in agent.roots]
    seen = ago(agent.last_heartbeat)
    telling = (host, roots, free, seen, str(agent.running), _keys(agent), agent.version)
    return agent.agent_id, agent.status.value, *telling


def _keys(agent: "AgentView") -> str:
    """How old they are, and what is the matter with them: `12 d, being replaced`."""
    from agent.cli.text import ago

    since = ago(agent.certified_at or agent.registered_at)
    replaced = "being replaced" if agent.rotation_wanted_at else ""
    knows = {"present": "next command key unknown", "none": "obeys no command"}.get(
        agent.command_key_status or "", ""
    )
    return ", ".join(filter(None, (since, replaced, knows)))


@app.command()
def enroll(
    name: Annotated[str, typer.Argument(help="The new agent's name: small letters, digits, dashes.")],
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Repeatable.")] = None,
    root: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH:ro|rw", help="What it may read, or also write. Repeatable."),
    ] = None,
    expires: Annotated[str, typer.Option(metavar="TIME", help="How long the token may be used.")] = "1h",
    as_json: Json = False,
) -> None:
    """Let one host join under NAME: prints a one-time token and the line to run there."""
    from agent.cli.api import connected
    from agent.cli.arguments import NO_ROOTS, roots, tags, validated
    from agent.cli.text import clock, read_span
    from events.requests import EnrollmentRequest
    from events.views import EnrollmentView

    seconds = int(read_span(expires).total_seconds())
    wish = {"tags": tags(tag or []), "roots": roots(root or []), "expires_in": seconds}
    request = validated(EnrollmentRequest, agent_id=name, **wish)
    with connected() as api:
        answer = api.post("agents", "enrollments", body=request.model_dump(mode="json"))
    if as_json:
        return output.print_json(answer)
    view = EnrollmentView.model_validate(answer)
    output.say(f"On the host that is to be {view.agent_id}, run:\n")
    output.say(f"  {clean(view.command)}\n", style="bold")
    if not root:
        output.note(NO_ROOTS)
    output.say("It asks for this token, which is shown only now and works once:\n")
    output.say(f"  {clean(view.token)}\n", style="bold")
    return output.say(f"It may be used until {clock(view.expires_at)}.", style="dim")


@app.command()
def show(name: Annotated[str, typer.Argument(help="The agent's name.")], as_json: Json = False) -> None:
    """Show one agent in full."""
    from agent.cli.api import connected
    from events.views import AgentView

    with connected() as api:
        answer = api.get("agents", name)
    if as_json:
        return output.print_json(answer)
    return _details(AgentView.model_validate(answer))


def _details(agent: "AgentView") -> None:
    from agent.cli.text import ago, size

    style = output.STYLES.get(agent.status, "")
    output.say(f"Agent {agent.agent_id}  {agent.status.value}", style=f"bold {style}")
    host = f"{agent.hostname} ({agent.ip_address})" if agent.ip_address else agent.hostname
    told = [
        ("host", host),
        ("version", agent.version),
        ("addresses", ", ".join(agent.endpoints) or "none"),
        ("tags", ", ".join(f"{key}={value}" for key, value in agent.tags.items()) or "none"),
        ("heartbeat", ago(agent.last_heartbeat)),
        ("running", str(agent.running)),
        ("keys", f"in use since {_keys(agent)}"),
    ]
    for label, words in told:
        output.say(f"  {label:<10} {clean(words)}")
    for root in agent.roots:
        free = f"{size(root.free)} free of {size(root.size)}" if root.free is not None else "not there"
        output.say(f"  {'root':<10} {clean(root.path)} {root.access}, {free}")
    for remote in agent.capabilities.remotes:
        kind = f", {clean(remote.type)}" if remote.type else ""
        output.say(f"  {'remote':<10} {clean(agent.agent_id)}:{remote.name}: {remote.access}{kind}")
    for problem in agent.problems:
        output.say(f"  {'problem':<10} {clean(problem.message)}", style="yellow")
        output.say(f"  {'':<10} {clean(problem.advice)}", style="dim")


@app.command()
def rotate(name: Annotated[str, typer.Argument(help="The agent's name.")], as_json: Json = False) -> None:
    """Let an agent replace its certificates and its API key. What it is moving is not interrupted."""
    from agent.cli.api import connected
    from events.views import AgentView

    with connected() as api:
        answer = api.post("agents", name, "rotate")
    if as_json:
        return output.print_json(answer)
    view = AgentView.model_validate(answer)
    when = "now" if view.status.value == "online" else "when it is back"
    output.say(f"{view.agent_id} makes new keys {when}; the old ones end once the new ones have worked.")
    return output.say(f"`crosshaul agents show {view.agent_id}` tells how old they are.", style="dim")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The agent's name.")], yes: Yes = False, as_json: Json = False
) -> None:
    """Remove an agent: its certificate is revoked and its transfers end. Files stay where they are."""
    from agent.cli.api import connected

    with connected() as api:
        view = api.get("agents", name)
        output.confirm(f"Remove {view['agent_id']} ({view['hostname']})?", yes=yes)
        answer = api.delete("agents", name)
    if as_json:
        return output.print_json(answer)
    return output.say(f"Removed {clean(name)}. Stop its service on the host; the name may be enrolled again.")
