"""`crosshaul agent …`: what is typed on a server itself."""

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli import output
from agent.cli.errors import CliError, Exit
from agent.config import DEFAULT_PATH, read_config
from agent.errors import HostError
from agent.identity.registration import Files, is_registered, read_registration

app = typer.Typer(
    name="agent",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="On a server: register it, run its agent, see how it does.",
)

ConfigOption = Annotated[Path, typer.Option("--config", metavar="FILE", help="The agent's configuration.")]


def with_plain_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """What is wrong with this host becomes one line and an advice."""

    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except HostError as error:
            raise CliError(error.message, error.advice, Exit.REFUSED) from error

    return wrapped


@app.command()
@with_plain_errors
def register(
    api: Annotated[str, typer.Option("--api", metavar="URL", help="The control plane's API.")],
    config: ConfigOption = DEFAULT_PATH,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="A file that holds the token.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="For a roll-out: not as this host is called.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier registration.")] = False,
) -> None:
    """Make this server an agent. The enrolment token comes from CROSSHAUL_TOKEN, --token-file, standard
    input or a prompt, never from an argument: arguments are seen by everyone on this host."""
    from agent import run

    settings = read_config(config)
    if is_registered(Files(settings.state)) and not force:
        record = Files(settings.state).record
        raise HostError(f"this host is registered already: {record}", "add --force to replace that")
    registration = run.register(settings, api, _token(token_file), name=name, force=force)
    output.say(f"registered as {registration.agent_id}; now start it: crosshaul agent run --config {config}")


@app.command("run")
@with_plain_errors
def run_agent(config: ConfigOption = DEFAULT_PATH) -> None:
    """Run the agent until it is stopped by SIGTERM or Ctrl-C; SIGHUP reads the roots again."""
    from agent import run

    run.run(config)


@app.command()
@with_plain_errors
def status(
    config: ConfigOption = DEFAULT_PATH,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """How the agent on this server does; exit code 0 if it is running and connected."""
    from agent import status as agent_status

    files = Files(read_config(config).state)
    found = agent_status.overview(files)
    registration = read_registration(files) if is_registered(files) else None
    name, thing = (registration.agent_id, registration.thing) if registration else (None, None)
    if as_json:
        output.print_json({"agent_id": name, "thing": thing, **json.loads(found.model_dump_json())})
    else:
        _show(name, found)
    if not found.connected:
        raise typer.Exit(Exit.FAILED)


@app.command()
def doctor(config: ConfigOption = DEFAULT_PATH) -> None:
    """Look at everything the agent needs; exit code 0 only if all of it is right."""
    from agent.doctor import examine

    sick = 0
    for check in examine(config):
        mark, style = ("ok  ", "green") if check.ok else ("FAIL", "red")
        output.say(f"{mark}  {check.name}: {check.found}", style=style)
        if check.advice:
            output.say(f"      → {check.advice}")
        sick += not check.ok
    if sick:
        raise typer.Exit(Exit.FAILED)


@app.command()
@with_plain_errors
def pin(config: ConfigOption = DEFAULT_PATH) -> None:
    """As root: trust the keys of this host's registration for updates, too. The installing script does it."""
    from agent.updating import pinned_keys

    registration = pinned_keys.pin(config, read_config(config).state)
    output.say(f"orders to {registration.agent_id} are trusted in {pinned_keys.pinned(config)}")


@app.command(hidden=True)
@with_plain_errors
def update(
    config: ConfigOption = DEFAULT_PATH,
    prefix: Annotated[str, typer.Option(metavar="DIR", help="Everything is below DIR.")] = "",
    restart: Annotated[str | None, typer.Option(metavar="COMMAND", help="Restarts the agent.")] = None,
) -> None:
    """As root: do what the agent shows an order for, or end what was cut off. The unit crosshaul-update does
    it."""
    from agent import lock, logs
    from agent.updating import pinned_keys
    from agent.updating.installer import RESTART, installer, restarter
    from agent.updating.releases import Releases
    from agent.updating.updater import Updater, UpdaterEnvironment

    if os.geteuid() and not prefix:
        raise HostError(
            "only root updates an agent here", "from the console's side: crosshaul agents update NAME"
        )
    settings = read_config(config)
    logs.set_up(settings.log_level)
    releases = Releases(Path(f"{prefix}/opt/crosshaul"))
    around = UpdaterEnvironment(
        installer(releases, prefix),
        restarter(restart or RESTART),
        lambda keys: pinned_keys.pin_others(config, keys),
    )
    with lock.only_one(releases.lock):
        Updater(releases, settings.state, lambda: pinned_keys.verifier(config), around).run()


def _show(name: str | None, found: Any) -> None:
    output.say(f"agent      {name or 'not registered'}")
    output.say(f"service    {f'running, process {found.pid}' if found.running else 'not running'}")
    if found.running:
        since = f" since {found.since:%Y-%m-%d %H:%M:%S} UTC" if found.since else ""
        broker = f"connected{since}" if found.connected else f"not connected{since}: {found.reason or 'yet'}"
        output.say(f"broker     {broker}")
    output.say(f"hops       {found.moving} held, {found.paused} paused, {found.serving} served to others")
    output.say(f"reports    {found.unsent} waiting to be sent")


def _token(token_file: Path | None) -> str:
    """The one-time token, without its line's end; HostError if there is none."""
    token = _token_text(token_file).strip()
    if not 20 <= len(token) <= 200:
        raise HostError("that is no enrolment token", "ask an administrator: `crosshaul agents enroll NAME`")
    return token


def _token_text(token_file: Path | None) -> str:
    if token_file:
        try:
            return token_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise HostError(
                f"{token_file} cannot be read: {error}", "name a file that holds the token"
            ) from error
    if found := os.environ.get("CROSSHAUL_TOKEN"):
        return found
    if sys.stdin.isatty():
        return str(typer.prompt("Enrolment token", hide_input=True))
    return sys.stdin.read()
