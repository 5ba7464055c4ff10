"""`agents`: list, enroll, rotate, update and remove agents."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import complete, output
from agent.cli.commands import rollouts, updates
from agent.cli.text import clean
from events.states import AgentStatus

if TYPE_CHECKING:
    from agent.cli.tables import Cell
    from events.views import AgentSummary, AgentView, AgentWarning

app = typer.Typer(help="List the agents; enroll, rotate and remove them.", invoke_without_command=True)
app.add_typer(rollouts.app, name="rollout")
app.add_typer(updates.app, name="updates")
app.command("update")(updates.update)

Json = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]
Name = Annotated[str, typer.Argument(help="The agent's name.", autocompletion=complete.agents)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


@app.callback()
def agents(
    context: typer.Context,
    search: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only agents whose names begin with this.")
    ] = None,
    status: Annotated[AgentStatus | None, typer.Option(help="Only agents of this status.")] = None,
    tag: Annotated[str | None, typer.Option(metavar="KEY=VALUE", help="Only agents with this tag.")] = None,
    attention: Annotated[
        bool, typer.Option("--attention", help="Only agents that a person should look at.")
    ] = False,
    outdated: Annotated[
        bool, typer.Option("--outdated", help="Only agents without the newest version.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most this many agents.")] = 50,
    everything: Annotated[bool, typer.Option("--all", "-a", help="All agents, not only the first.")] = False,
    as_json: Json = False,
) -> None:
    """List the agents; enroll, rotate and remove them."""
    if context.invoked_subcommand is not None:
        return
    if tag is not None:
        from agent.cli.arguments import tags

        tags([tag])  # ends with advice if it is not one
    criteria = {
        "search": search and search.lower(),
        "status": status and status.value,
        "tag": tag,
        "attention": "true" if attention else None,
        "outdated": "true" if outdated else None,
    }
    _list({name: value for name, value in criteria.items() if value}, limit, everything, as_json)


def _list(criteria: dict[str, str], limit: int, everything: bool, as_json: bool) -> None:
    from agent.cli.api import connected
    from events.views import FleetView

    found: list[Any] = []
    with connected() as api:
        # A page may be short without being last: the API looks through some agents at a time.
        for page in api.pages("fleet", limit=limit, **criteria):
            found += page["agents"]
            if len(found) >= limit and not everything:
                break
    answer = {**page, "agents": found if everything else found[:limit]}
    if as_json:
        return output.print_json(answer)
    view = FleetView.model_validate(answer)
    if view.agents:
        _table(view.agents)
    elif criteria:
        return output.say("No agent matches.")
    else:
        return output.say("No agents yet. Add the first with `crosshaul agents enroll NAME`.")
    if not everything and (view.next or len(found) > limit):
        counts = view.counts
        every = counts.online + counts.late + counts.offline
        output.note(f"{len(view.agents):,} of {every:,} agents. For more add --all, or a higher --limit.")
    return None


def _table(found: "tuple[AgentSummary, ...]") -> None:
    from agent.cli.tables import Column, show

    columns = (
        Column("NAME"),
        Column("STATUS"),
        Column("SINCE", leaves=3),
        Column("HOST", leaves=1),
        Column("ROOTS", right=True, leaves=4),
        Column("FREE", right=True),
        Column("RUNNING", right=True, leaves=2),
        Column("KEYS", leaves=5),
        Column("VERSION", leaves=6),
        Column("WARNINGS"),
    )
    show(columns, map(_row, found))


def _row(agent: "AgentSummary") -> "tuple[Cell, ...]":
    from agent.cli.text import ago

    host = f"{agent.hostname} ({agent.ip_address})" if agent.ip_address else agent.hostname
    free = "–" if agent.free_percent is None else f"{agent.free_percent} %"
    since = ago(agent.connected_at if agent.status == AgentStatus.ONLINE else agent.last_heartbeat)
    keys = ago(agent.certified_at or agent.registered_at)
    columns = (since, host, str(agent.roots), free, str(agent.running), keys, agent.version)
    status = f"{agent.status.value}, drained" if agent.drain else agent.status.value
    return agent.agent_id, status, *columns, [_warning(one) for one in agent.warnings]


def _warning(warning: "AgentWarning") -> str:
    """Return what is wrong with an agent, in a few words."""
    match warning.kind:
        case "clock":
            return f"clock {abs(warning.amount or 0)} min {'fast' if (warning.amount or 0) > 0 else 'slow'}"
        case "rejects_commands":
            return "rejects all commands"
        case "root_missing":
            return f"{warning.path} not available"
        case "root_nearly_full":
            return f"{warning.path} {warning.amount} % free"


def _keys(agent: "AgentView") -> str:
    """Return the age and state of the agent's keys, as in `12 d ago, being replaced`."""
    from agent.cli.text import ago

    since = ago(agent.certified_at or agent.registered_at)
    replaced = "being replaced" if agent.rotation_wanted_at else ""
    command_key = {"present": "next command key unknown", "none": "rejects all commands"}.get(
        agent.command_key_status or "", ""
    )
    return ", ".join(filter(None, (since, replaced, command_key)))


@app.command()
def enroll(
    name: Annotated[str, typer.Argument(help="The new agent's name: lowercase letters, digits, dashes.")],
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Repeatable.")] = None,
    root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH:ro|rw", help="A directory it may read (ro) or also write (rw). Repeatable."
        ),
    ] = None,
    expires: Annotated[str, typer.Option(metavar="TIME", help="How long the token is valid.")] = "1h",
    as_json: Json = False,
) -> None:
    """Let one host join as NAME: print a one-time token and the command to run there."""
    from agent.cli.api import connected
    from agent.cli.arguments import NO_ROOTS, roots, tags, validated
    from agent.cli.text import clock, read_duration
    from events.requests import EnrollmentRequest
    from events.views import EnrollmentView

    seconds = int(read_duration(expires).total_seconds())
    spec = {"tags": tags(tag or []), "roots": roots(root or []), "expires_in": seconds}
    request = validated(EnrollmentRequest, agent_id=name, **spec)
    with connected() as api:
        answer = api.post("agents", "enrollments", body=request.model_dump(mode="json"))
    if as_json:
        return output.print_json(answer)
    view = EnrollmentView.model_validate(answer)
    output.say(f"On the host that becomes {view.agent_id}, run:\n")
    output.say(f"  {clean(view.command)}\n", style="bold")
    if not root:
        output.note(NO_ROOTS)
    output.say("It asks for this one-time token, which is not shown again:\n")
    output.say(f"  {clean(view.token)}\n", style="bold")
    return output.say(f"The token is valid until {clock(view.expires_at)}.", style="dim")


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show one agent in full."""
    from agent.cli.agent_names import suggested
    from agent.cli.api import connected
    from events.views import AgentView

    with connected() as api, suggested(api, [name]):
        answer = api.get("agents", name)
    if as_json:
        return output.print_json(answer)
    return _details(AgentView.model_validate(answer))


def _details(agent: "AgentView") -> None:
    from agent.cli.text import ago, size
    from agent.cli.waiting import drained

    style = output.STYLES.get(agent.status, "")
    output.say(f"Agent {agent.agent_id}  {agent.status.value}", style=f"bold {style}")
    host = f"{agent.hostname} ({agent.ip_address})" if agent.ip_address else agent.hostname
    fields = [
        ("host", host),
        ("version", agent.version),
        ("addresses", ", ".join(agent.endpoints) or "none"),
        ("tags", ", ".join(f"{key}={value}" for key, value in agent.tags.items()) or "none"),
        ("heartbeat", ago(agent.last_heartbeat)),
        ("transfers", f"{agent.open_transfers or 0} open"),
        ("keys", f"in use since {_keys(agent)}"),
        ("congestion", agent.capabilities.congestion_control or "unknown"),
    ]
    for label, value in fields:
        output.say(f"  {label:<10} {clean(value)}")
    if agent.drain:
        output.say(f"  {'drain':<10} {clean(drained(agent))}", style="yellow")
    for root in agent.roots:
        free = f"{size(root.free)} free of {size(root.size)}" if root.free is not None else "not available"
        output.say(f"  {'root':<10} {clean(root.path)} {root.access}, {free}")
    for remote in agent.capabilities.remotes:
        kind = f", {clean(remote.type)}" if remote.type else ""
        output.say(f"  {'remote':<10} {clean(agent.agent_id)}:{remote.name}: {remote.access}{kind}")
    for problem in agent.problems:
        output.say(f"  {'problem':<10} {clean(problem.message)}", style="yellow")
        output.say(f"  {'':<10} {clean(problem.advice)}", style="dim")


@app.command()
def rotate(name: Name, as_json: Json = False) -> None:
    """Make an agent replace its certificates and API key. Running transfers are not interrupted."""
    from agent.cli.agent_names import suggested
    from agent.cli.api import connected
    from events.views import AgentView

    with connected() as api, suggested(api, [name]):
        answer = api.post("agents", name, "rotate")
    if as_json:
        return output.print_json(answer)
    view = AgentView.model_validate(answer)
    when = "now" if view.status.value == "online" else "when it is online again"
    output.say(f"{view.agent_id} makes new keys {when}; the old ones are revoked once the new ones work.")
    return output.say(f"`crosshaul agents show {view.agent_id}` shows their age.", style="dim")


@app.command()
def logs(
    name: Name,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, max=1000, help="At most this many lines, the latest ones.")
    ] = 200,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only lines since then: `2h`, or 2026-11-24T08:30.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the latest lines of an agent's own log. The audit records each reading."""
    from agent.cli.agent_names import suggested
    from agent.cli.api import connected
    from agent.cli.text import clock, counted, read_time
    from events.requests import LogRequest
    from events.views import AgentLogView

    request = LogRequest(lines=lines, since=read_time(since) if since else None)
    with connected() as api, suggested(api, [name]):
        answer = api.post("agents", name, "log", body=request.model_dump(mode="json"))
    if as_json:
        return output.print_json(answer)
    view = AgentLogView.model_validate(answer)
    if view.lines:
        output.say("\n".join(map(clean, view.lines)))
    if view.omitted:
        output.note(f"{counted(view.omitted, 'older line')} did not fit; ask for less with --since.")
    if view.remembered_since and not view.lines:
        output.note("The agent has logged nothing in this time.")
    if view.remembered_since and request.since and request.since < view.remembered_since:
        begin = clock(view.remembered_since)
        output.note(f"The agent remembers its log since {begin}; older lines are in its host's journal.")
    return None


def _ending(view: dict[str, Any]) -> str:
    """Say how many transfers end when the agent is removed; nothing if there are none."""
    ending = view.get("open_transfers") or 0
    return f" {ending} of its transfers have not ended and will fail." if ending else ""


@app.command()
def drain(
    name: Name,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When it ends by itself: `2h`, or 2026-11-24T08:30."),
    ] = None,
    maintenance: Annotated[
        bool, typer.Option("--maintenance", help="It may go away without an event that it went silent.")
    ] = False,
    why: Annotated[str | None, typer.Option(metavar="TEXT", help="A reason that others can read.")] = None,
    as_json: Json = False,
) -> None:
    """Let an agent finish its running hops and give it no new ones."""
    from agent.cli.agent_names import suggested
    from agent.cli.api import connected
    from agent.cli.arguments import validated
    from agent.cli.text import counted, read_time_ahead
    from agent.cli.waiting import drained
    from events.requests import DrainRequest
    from events.views import AgentView

    end = read_time_ahead(until) if until else None
    request = validated(DrainRequest, until=end, maintenance=maintenance, why=why)
    with connected() as api, suggested(api, [name]):
        answer = api.put("agents", name, "drain", body=request.model_dump(mode="json"))
    if as_json:
        return output.print_json(answer)
    view = AgentView.model_validate(answer)
    output.say(clean(f"{view.agent_id} {drained(view)}. {counted(view.running, 'hop')} running on it."))
    return output.say(f"New hops wait. `crosshaul agents undrain {view.agent_id}` ends it.", style="dim")


@app.command()
def undrain(name: Name, as_json: Json = False) -> None:
    """Give a drained agent new hops again."""
    from agent.cli.agent_names import suggested
    from agent.cli.api import connected

    with connected() as api, suggested(api, [name]):
        answer = api.delete("agents", name, "drain")
    if as_json:
        return output.print_json(answer)
    return output.say(f"{clean(name)} gets new hops again.")


@app.command()
def remove(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Remove an agent: revoke its certificate and end its transfers. No files are deleted."""
    from agent.cli.agent_names import suggested
    from agent.cli.api import connected

    with connected() as api, suggested(api, [name]):
        view = api.get("agents", name)
        output.confirm(f"Remove {view['agent_id']} ({view['hostname']})?{_ending(view)}", yes=yes)
        answer = api.delete("agents", name)
    if as_json:
        return output.print_json(answer)
    return output.say(f"Removed {clean(name)}. Stop its service on the host. The name can be enrolled again.")
