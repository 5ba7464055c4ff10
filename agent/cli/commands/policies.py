"""`policies`: list, write, remove and test the Cedar policies that decide which transfers are allowed."""

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

app = typer.Typer(help="List, write, remove and test policies.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The policy's name: lowercase letters, digits, dashes.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, stored with the change.")]
File = Annotated[Path, typer.Argument(help="A file with Cedar; - reads stdin.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the policies in force. What no policy permits is refused."""
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
    """Show a policy's text, in the form that `put` takes, and its change history."""
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
    for version in view.past or (view,):
        title = f"version {version.version}" + ("" if version.text else " (removed)")
        output.note(f"{title}: {clock(version.at)}, {clean(version.by.name)}: {clean(version.why)}")
    return None


@app.command()
def put(
    name: Name,
    file: File,
    why: Why,
    version: Annotated[int | None, typer.Option(help="Replace only if this is the current version.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Change nothing; show which recent transfers it would decide differently."
        ),
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=30, help="Days that --dry-run looks back.")] = 30,
    as_json: Json = False,
) -> None:
    """Write a policy or a new version of it. It is validated first and takes effect within ten seconds.

    A person may be named by e-mail address, User::"bo@example.org", and is stored by id.

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
        bool,
        typer.Option(
            "--dry-run", help="Change nothing; show which recent transfers it would decide differently."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Remove a policy from force. Its versions are kept."""
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
        output.confirm(f"Remove policy {known['policy_id']} from force?", yes=yes)
        answer = api.delete("policies", name, why=why)
    output.print_json(answer) if as_json else output.say(f"{clean(name)} is no longer in force.")
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
            Column("CREATED", leaves=1),
            Column("WAS", leaves=3),
            Column("WOULD BE"),
            Column("POLICIES", folds=True),
        )
        show(columns, map(_changed, view.changed))
    checked = counted(view.checked, "transfer")
    output.say(f"{counted(len(view.changed), 'decision')} of {checked} would change. Nothing was changed.")
    if not view.complete:
        output.note("Not all transfers were checked: use fewer --days.")
    return None


def _changed(decision: "ChangedDecision") -> "tuple[Cell, ...]":
    from agent.cli.text import ago

    created, policies = ago(decision.created_at), ", ".join(decision.policies) or "no policy permits it"
    return (
        decision.transfer_id,
        decision.created_by.name,
        created,
        decision.before,
        decision.after,
        policies,
    )


@app.command("test")
def simulate(
    source: Annotated[str, typer.Argument(help="server-b:/data/raw/ or s3://bucket/prefix/")],
    destinations: Annotated[list[str], typer.Argument(help="One or more.")],
    person: Annotated[
        str | None, typer.Option("--as", metavar="PERSON", help="As another person, by e-mail address or id.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="As a member of this group only. Repeatable.")
    ] = None,
    template: Annotated[str | None, typer.Option(help="As if started by this template.")] = None,
    size: Annotated[str | None, typer.Option(help="As if it had this size: 100G.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="As if started at this time.")] = None,
    chain: Annotated[bool, typer.Option("--chain", help="From each destination to the next.")] = False,
    as_json: Json = False,
) -> None:
    """Test whether a transfer would be allowed, and by which policies. Nothing is moved.

    Exits with 0 if it would be allowed, and with 3 if it would be refused or would need approval.
    """
    from agent.cli.api import connected

    request = _test(source, destinations, person, group, template, size, at, chain)
    with connected() as api:
        answer = api.post("policies", "test", body=request.model_dump(mode="json"))
    output.print_json(answer) if as_json else _print_decisions(answer)
    if answer["outcome"] != "allowed":
        raise typer.Exit(Exit.FORBIDDEN)


def _test(
    source: str, destinations: list[str], person: str | None, group: list[str] | None, template: str | None,
    size: str | None, at: str | None, chain: bool,
) -> "PolicyTest":  # fmt: skip
    from agent.cli.arguments import validated
    from agent.cli.text import read_size, read_time
    from events.policies import PolicyTest

    shape = "chain" if chain else "fan_out"
    return validated(
        PolicyTest,
        person=person,
        groups=tuple(group) if group else None,
        transfer={"source": source, "destinations": destinations, "shape": shape},
        template_id=template,
        size=None if size is None else read_size(size),
        at=None if at is None else read_time(at),
    )


def _print_decisions(answer: dict[str, Any]) -> None:
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


def _movement(decision: "MovementDecision") -> "tuple[Cell, ...]":
    policies = ", ".join(decision.policies) or "no policy permits it"
    return decision.outcome, decision.source, decision.destination, policies


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(
            f"cannot read {file}: {error.strerror}", "Check that the file exists and is readable."
        ) from None
    except UnicodeDecodeError:
        raise CliError(f"{file} is not UTF-8", "Save it as UTF-8.") from None
