"""`policies`: who may move what, from where, to where, when; kept as Cedar texts."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import output
from agent.cli.commands.agents import Json, Yes
from agent.cli.errors import CliError, Exit
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.tables import Cell
    from events.policies import ChangedDecision, MovementDecision, PolicyTest, PolicyView

app = typer.Typer(help="List, write, remove and try policies.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The policy's name: small letters, digits, dashes.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Kept with the change, for who asks later.")]
File = Annotated[Path, typer.Argument(help="Cedar. - reads stdin.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the policies in force. What none of them permits is refused."""
    from agent.cli.api import connected
    from agent.cli.tables import Column, show
    from events.policies import PoliciesView

    with connected() as api:
        answer = api.get("policies")
    if as_json:
        return output.print_json(answer)
    columns = (
        Column("NAME"),
        Column("VERSION", right=True, leaves=1),
        Column("BY", leaves=2),
        Column("SINCE", leaves=3),
        Column("WHY", folds=True),
    )
    return show(columns, map(_row, PoliciesView.model_validate(answer).policies))


def _row(policy: "PolicyView") -> "tuple[Cell, ...]":
    from agent.cli.text import clock

    return policy.policy_id, str(policy.version), policy.by.name, clock(policy.at), policy.why


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a policy's text, as `put` takes it, and who has changed it, and why."""
    from agent.cli.api import connected
    from agent.cli.text import clock
    from events.policies import PolicyDetails

    with connected() as api:
        answer = api.get("policies", name)
    if as_json:
        return output.print_json(answer)
    view = PolicyDetails.model_validate(answer)
    lines = "\n".join(map(clean, (view.text or "").rstrip("\n").split("\n")))
    sys.stdout.write(lines + "\n")
    for past in view.past or (view,):
        what = f"version {past.version}" + ("" if past.text else " (removed)")
        output.note(f"{what}: {clock(past.at)}, {clean(past.by.name)}: {clean(past.why)}")
    return None


@app.command()
def put(
    name: Name,
    file: File,
    why: Why,
    version: Annotated[int | None, typer.Option(help="Replace this version only.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Change nothing: show which of the last transfers it would touch."),
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=30, help="How far back --dry-run looks.")] = 30,
    as_json: Json = False,
) -> None:
    """Write a policy, or a new version of it. It is checked first, and counts within ten seconds.

    A person may be named by e-mail address, User::"bo@example.org". It is kept as their id.

    \b
      crosshaul policies put night-only night.cedar --why "Line is full by day" --dry-run
    """
    from agent.cli.api import connected
    from agent.cli.arguments import validated
    from events.policies import DryRunRequest, PolicyRequest

    text = _read(file)
    request = validated(PolicyRequest, text=text, why=why)
    with connected() as api:
        if dry_run:
            trial = validated(DryRunRequest, text=text, days=days)
            return _dry_run(
                api.post("policies", name, "dry-run", body=trial.model_dump(mode="json")), as_json
            )
        answer = api.put("policies", name, body=request.model_dump(mode="json"), version=version)
    if as_json:
        return output.print_json(answer)
    return output.say(f"{clean(name)}: version {answer['version']} is in force within ten seconds.")


@app.command()
def remove(
    name: Name,
    why: Why,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing: show what it would mean.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take a policy out of force. Its versions stay."""
    from agent.cli.api import connected
    from agent.cli.arguments import validated
    from events.policies import DryRunRequest

    with connected() as api:
        if dry_run:
            trial = validated(DryRunRequest, text=None)
            return _dry_run(
                api.post("policies", name, "dry-run", body=trial.model_dump(mode="json")), as_json
            )
        known = api.get("policies", name)
        output.confirm(f"Take policy {known['policy_id']} out of force?", yes=yes)
        answer = api.delete("policies", name, why=why)
    output.print_json(answer) if as_json else output.say(f"{clean(name)} is out of force.")
    return None


def _dry_run(answer: dict[str, Any], as_json: bool) -> None:
    from agent.cli.tables import Column, show
    from agent.cli.text import counted
    from events.policies import DryRunView

    if as_json:
        return output.print_json(answer)
    view = DryRunView.model_validate(answer)
    if view.changed:
        columns = (
            Column("TRANSFER"),
            Column("BY", leaves=2),
            Column("ASKED FOR", leaves=1),
            Column("WAS", leaves=3),
            Column("WOULD BE"),
            Column("POLICIES", folds=True),
        )
        show(columns, map(_changed, view.changed))
    looked = counted(view.checked, "transfer")
    output.say(f"{counted(len(view.changed), 'decision')} of {looked} would change. Nothing was changed.")
    if not view.complete:
        output.note("There were more transfers: ask for fewer --days.")
    return None


def _changed(one: "ChangedDecision") -> "tuple[Cell, ...]":
    from agent.cli.text import ago

    when, policies = ago(one.created_at), ", ".join(one.policies)
    return one.transfer_id, one.created_by.name, when, one.before, one.after, policies or "nothing permits it"


@app.command("test")
def try_(
    source: Annotated[str, typer.Argument(help="server-b:/data/raw/ or s3://bucket/prefix/")],
    destinations: Annotated[list[str], typer.Argument(help="One or more.")],
    person: Annotated[
        str | None, typer.Option("--as", metavar="PERSON", help="Somebody else, by address or id.")
    ] = None,
    group: Annotated[list[str] | None, typer.Option(help="As if in this group only. Repeatable.")] = None,
    template: Annotated[str | None, typer.Option(help="As if this template asked for it.")] = None,
    size: Annotated[str | None, typer.Option(help="As if it were so large: 100G.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="As if it were then.")] = None,
    chain: Annotated[bool, typer.Option("--chain", help="From each destination to the next.")] = False,
    as_json: Json = False,
) -> None:
    """Would this transfer be allowed, and which policies say so? Nothing is moved.

    Ends with 0 if it would be, and with 3 if it would be refused or would wait for approval.
    """
    from agent.cli.api import connected

    request = _test(source, destinations, person, group, template, size, at, chain)
    with connected() as api:
        answer = api.post("policies", "test", body=request.model_dump(mode="json"))
    output.print_json(answer) if as_json else _verdict(answer)
    if answer["outcome"] != "allowed":
        raise typer.Exit(Exit.FORBIDDEN)


def _test(
    source: str, destinations: list[str], person: str | None, group: list[str] | None, template: str | None,
    size: str | None, at: str | None, chain: bool,
) -> "PolicyTest":  # fmt: skip
    from agent.cli.arguments import validated
    from agent.cli.text import read_moment, read_size
    from events.policies import PolicyTest

    shape = "chain" if chain else "fan_out"
    return validated(
        PolicyTest,
        person=person,
        groups=tuple(group) if group else None,
        transfer={"source": source, "destinations": destinations, "shape": shape},
        template_id=template,
        size=None if size is None else read_size(size),
        at=None if at is None else read_moment(at),
    )


def _verdict(answer: dict[str, Any]) -> None:
    from agent.cli.tables import Column, show
    from events.policies import PolicyTestView

    view = PolicyTestView.model_validate(answer)
    columns = (
        Column("OUTCOME"),
        Column("FROM", folds=True),
        Column("TO", folds=True),
        Column("BY THE POLICIES", folds=True),
    )
    show(columns, map(_movement, view.movements))
    output.note(
        f"{clean(view.person.name)}, in {clean(', '.join(view.groups)) or 'no group'}: {view.outcome}"
    )


def _movement(one: "MovementDecision") -> "tuple[Cell, ...]":
    return one.outcome, one.source, one.destination, ", ".join(one.policies) or "nothing permits it"


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"cannot read {file}: {error.strerror}", "See that the file is there.") from None
    except UnicodeDecodeError:
        raise CliError(f"{file} is not UTF-8", "Save it as UTF-8.") from None
