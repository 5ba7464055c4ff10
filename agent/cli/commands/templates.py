"""`templates`: transfers that start when objects arrive in S3, written in YAML files."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import output
from agent.cli.commands.agents import Json, Yes
from agent.cli.errors import CliError
from agent.cli.text import clean

if TYPE_CHECKING:
    from agent.cli.api import ApiClient
    from agent.cli.tables import Cell
    from events.requests import TemplateRequest
    from events.views import TemplateView

app = typer.Typer(help="List, apply and remove templates.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(help="The template's name.")]


@app.callback()
def templates(context: typer.Context, as_json: Json = False) -> None:
    """List, apply and remove templates: transfers that start when objects arrive in S3."""
    if context.invoked_subcommand is None:
        _list(as_json)


def _list(as_json: bool) -> None:
    from agent.cli.api import connected
    from events.views import TemplatesView

    with connected() as api:
        found = [one for page in api.pages("templates") for one in page["templates"]]
    if as_json:
        return output.print_json({"templates": found})
    view = TemplatesView.model_validate({"templates": found})
    if not view.templates:
        return output.say("No templates. Create one with `crosshaul templates apply FILE.yaml`.")
    return _table(view.templates)


def _table(found: "tuple[TemplateView, ...]") -> None:
    from agent.cli.tables import Column, show

    columns = (
        Column("NAME"),
        Column("ENABLED", leaves=1),
        Column("TRIGGER", folds=True),
        Column("DESTINATIONS", folds=True),
    )
    show(columns, map(_row, found))


def _row(template: "TemplateView") -> "tuple[Cell, ...]":
    destinations = [str(place) for place in template.destinations]
    places = [" → ".join(destinations)] if template.shape == "chain" else destinations
    return template.template_id, "yes" if template.enabled else "no", _trigger(template), places


def _trigger(template: "TemplateView") -> str:
    trigger = template.trigger
    suffix = f"*{trigger.suffix}" if trigger.suffix else ""
    gathers = f" (gathers {trigger.gather_seconds} s)" if trigger.gather_seconds else ""
    return f"s3://{trigger.bucket}/{trigger.prefix}{suffix}{gathers}"


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="A YAML file; separate templates with ---. - reads stdin.")],
    as_json: Json = False,
) -> None:
    """Create or update the templates in a file, by name.

    \b
      name: new-videos
      trigger: {bucket: media-uploads, prefix: new-videos/}
      destinations: [server-b:/primary/storage/, server-d:/backup/storage/]
      shape: chain

    Every document is validated before the first one is applied. If the API then refuses one, the error says
    which were applied.
    """
    from agent.cli.api import connected

    requests = _read(file)
    answers: list[dict[str, Any]] = []
    with connected() as api:
        changes = [_change(api, request) for request in requests]  # everything is read before the first write
        try:
            for change in changes:
                answer = _apply(api, change)
                answers.append({"outcome": change.outcome, "template": answer})
                if not as_json:
                    _print_outcome(change, answer)
        except Exception as error:
            if as_json and answers:
                output.print_json(answers)
            raise _stopped(error, [request.name for request in requests], len(answers)) from error
    if as_json:
        output.print_json(answers)


def _stopped(error: Exception, names: list[str], done: int) -> Exception:
    """Return the error with the names of the templates that are applied, and of those that are not."""
    from agent.cli.explain import as_cli_error

    explained = as_cli_error(error)
    if explained is None or len(names) == 1:
        return error
    applied = f"already applied: {', '.join(names[:done])}" if done else "nothing was applied"
    what = f"{names[done]}: {explained.what.rstrip('.')} ({applied}; not applied: {', '.join(names[done:])})"
    advice = f"{explained.advice} Then apply the file again: templates that are applied stay unchanged."
    return CliError(what, advice.strip(), explained.code)


def _read(file: Path) -> list["TemplateRequest"]:
    """Return the templates in the file.

    Raises:
        CliError: The file cannot be read, or one of its documents is not valid; the message names it.
    """
    import yaml

    from agent.cli import unique_yaml

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        documents = unique_yaml.load_all(text)
    except OSError as error:
        raise CliError(
            f"cannot read {file}: {error.strerror}", "Check that the file exists and is readable."
        ) from None
    except unique_yaml.RepeatedKeyError as error:
        what = f"{file}, line {error.line}: the key {error.key!r} is repeated"
        raise CliError(what, f"Remove one of the two; the first is in line {error.first_line}.") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date such as 2026-13-01
        raise CliError(f"{file} is not YAML: {error}", "Correct the file.") from None
    except RecursionError:
        raise CliError(f"{file} is nested too deeply", "Correct the file.") from None
    requests = [_template(file, number, one) for number, one in enumerate(documents, 1) if one is not None]
    if not requests:
        raise CliError(f"{file} contains no template", "See `crosshaul templates apply --help`.")
    _reject_duplicates(file, [request.name for request in requests])
    return requests


def _template(file: Path, number: int, document: Any) -> "TemplateRequest":
    import pydantic

    from agent.cli.arguments import validation_messages
    from events.requests import TemplateRequest

    try:
        return TemplateRequest.model_validate(document)
    except pydantic.ValidationError as error:
        raise CliError(
            f"{file}, document {number}: {validation_messages(error)}", "Correct the file."
        ) from None


def _reject_duplicates(file: Path, names: list[str]) -> None:
    if duplicate := next((name for name in names if names.count(name) > 1), None):
        raise CliError(f"{file} has two templates called {duplicate}", "Give one of them another name.")


@dataclass(frozen=True)
class _Change:
    """What applying one template does."""

    outcome: str
    """created, updated or unchanged"""
    request: "TemplateRequest"
    known: Any = None
    """The template as the API has it now; None if it does not exist."""


def _change(api: "ApiClient", request: "TemplateRequest") -> _Change:
    from agent.cloud.http import ApiProblem
    from events.views import TemplateView

    try:
        known = api.get("templates", request.name)
    except ApiProblem as error:
        if error.status != 404:
            raise
        return _Change("created", request)
    same = _as_request(TemplateView.model_validate(known)) == request
    return _Change("unchanged" if same else "updated", request, known)


def _apply(api: "ApiClient", change: _Change) -> Any:
    """Apply a template and return it as the API has it then."""
    body = change.request.model_dump(mode="json")
    match change.outcome:
        case "created":
            return api.post("templates", body=body)
        case "updated":
            return api.put("templates", change.request.name, body=body)
        case _:
            return change.known


def _as_request(view: "TemplateView") -> "TemplateRequest":
    from events.requests import TemplateRequest

    shared = set(TemplateRequest.model_fields) - {"name"}
    return TemplateRequest.model_validate({"name": view.template_id, **view.model_dump(include=shared)})


def _print_outcome(change: _Change, answer: Any) -> None:
    output.say(f"{change.request.name}: {change.outcome}")
    for warning in answer.get("warnings", ()):
        text = clean(f"{warning['message']} {warning['advice']}".strip())
        output.say(f"  warning: {text}", style="yellow", file=sys.stderr)


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a template as YAML that `apply` takes."""
    from agent.cli.api import connected

    with connected() as api:
        answer = api.get("templates", name)
    output.print_json(answer) if as_json else _as_yaml(answer)


def _as_yaml(answer: Any) -> None:
    import yaml

    from events.views import TemplateView

    view = TemplateView.model_validate(answer)
    request = _as_request(view)
    fields = {**request.model_dump(mode="json", exclude_defaults=True), "destinations": _texts(view)}
    # YAML escapes what is not printable, so this is safe to print.
    sys.stdout.write(yaml.safe_dump(fields, sort_keys=False, allow_unicode=False))
    output.note(f"version {view.version}, owner {clean(view.owner.name)}")


def _texts(view: "TemplateView") -> list[str]:
    return [str(place) for place in view.destinations]


@app.command()
def remove(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Remove a template. Transfers that it has started continue."""
    from agent.cli.api import connected

    with connected() as api:
        known = api.get("templates", name)
        output.confirm(f"Remove template {known['template_id']}?", yes=yes)
        answer = api.delete("templates", name)
    output.print_json(answer) if as_json else output.say(f"Removed {clean(name)}.")
