"""`support`: collect what is known about a transfer into one file, for whoever helps."""

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent import VERSION
from agent.cli import output
from agent.cli.commands.transfers import TransferId, find
from agent.cli.errors import CliError
from agent.cli.streams import unwritable
from agent.cli.text import counted, utc

if TYPE_CHECKING:
    from agent.cli.api import ApiClient
    from events.views import TransferView

MAX_AUDIT_PAGES = 20
"""Pages of audit records that are collected, newest first."""
README = """What the control plane knows about one transfer, as JSON.

transfer.json   the transfer: hops, options, problems, failed files
timeline.json   its whole timeline, oldest first
times.json      seconds in each state, by hop
agents.json     the agents of its hops as they are now: status, version, roots, addresses, problems
audit.json      who did what with it, and which policies allowed or refused it
versions.json   versions of control plane and command, and when this was collected
missing.json    what could not be collected, and why

It has paths, addresses of hosts and e-mail addresses, and no passwords, tokens, keys or file contents.
"""


def support(
    transfer_id: TransferId,
    to: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: crosshaul-support-ID.zip, here."),
    ] = None,
) -> None:
    """Collect what is known about a transfer into a ZIP file.

    Only you may read it. It has the transfer, its timeline and times, its agents, its audit records and the
    versions: paths and addresses, but no passwords, tokens, keys or file contents. Without the right to read
    the audit, that part is left out.
    """
    from agent.cli.api import connected

    with connected() as api:
        full_id = find(api, transfer_id)
        files = _collect(api, full_id)
    target = to or Path(f"crosshaul-support-{full_id}.zip")
    _write(target, files)
    missing = len(files["missing.json"])
    output.say(f"Wrote {target}. Look into it before you pass it on: it has paths and addresses.")
    if missing:
        output.note(f"{counted(missing, 'part')} could not be collected: see missing.json in it.")


def _collect(api: "ApiClient", transfer_id: str) -> dict[str, Any]:
    """Return the contents by file name; only the transfer itself must be there."""
    from agent.cli.hop_times import complete_timeline, hop_times
    from events.views import TransferView

    now = datetime.now(UTC)
    answer = api.get("transfers", transfer_id)
    view = TransferView.model_validate(answer)
    timeline = complete_timeline(api, view)
    missing: dict[str, str] = {}
    names = sorted({name for hop in view.hops for name in hop.agents})
    agents = [_tried(missing, f"agent {name}", partial(api.get, "agents", name)) for name in names]
    health = _tried(missing, "version of the control plane", lambda: _health(api.get("health")))
    return {
        "transfer.json": answer,
        "timeline.json": [entry.model_dump(mode="json") for entry in timeline],
        "times.json": [asdict(one) for one in hop_times(view, timeline, view.ended_at or now)],
        "agents.json": [agent for agent in agents if agent],
        "audit.json": _tried(missing, "audit", lambda: _audit(api, view)),
        "versions.json": {"control_plane": health, "command": VERSION, "collected_at": now.isoformat()},
        "missing.json": missing,
    }


def _tried(missing: dict[str, str], what: str, ask: Callable[[], Any]) -> Any:
    """Return the answer; None, and the reason in `missing`, if there is none."""
    import httpx

    from agent.cloud.http import ApiProblem

    try:
        return ask()
    except (ApiProblem, httpx.TransportError) as error:
        missing[what] = str(error)
        return None


def _health(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer.get(name) for name in ("stage", "version", "wire")}


def _audit(api: "ApiClient", view: "TransferView") -> list[Any]:
    records: list[Any] = []
    pages = api.pages("audit", transfer_id=view.transfer_id, since=utc(view.created_at))
    for number, page in enumerate(pages, 1):
        records += page["records"]
        if number == MAX_AUDIT_PAGES:
            break
    return records


def _write(target: Path, files: dict[str, Any]) -> None:
    """Write a new file of mode 0600; nothing is left of one that could not be written."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise CliError(f"{target} exists already", "Name another file with --output.") from None
    except OSError as error:
        raise unwritable(str(target), error) from error
    try:
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("README.txt", README)
            for name, content in files.items():
                bundle.writestr(name, json.dumps(content, indent=2, ensure_ascii=True) + "\n")
    except OSError as error:
        target.unlink(missing_ok=True)
        raise unwritable(str(target), error) from error
