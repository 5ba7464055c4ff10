"""`crosshaul agent …`: commands that run on an agent's host."""

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from agent import systemd
from agent.cli import output
from agent.cli.errors import CliError, Exit
from agent.config import DEFAULT_PATH, read_config
from agent.errors import HostError, PassingHostError
from agent.identity.registration import Files, is_registered, read_registration

app = typer.Typer(
    name="agent",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="On a server: register it as an agent, run the agent, check its status.",
)

ConfigOption = Annotated[Path, typer.Option("--config", metavar="FILE", help="The agent's configuration.")]


def with_plain_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a HostError of the command into a CliError with its advice.

    systemd does not repeat a start that was refused, since only a person can change that.
    """

    @wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except HostError as error:
            code = Exit.FAILED if isinstance(error, PassingHostError) else Exit.REFUSED
            raise CliError(error.message, error.advice, code) from error

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
        str | None, typer.Option(metavar="NAME", help="For a rollout: a name other than this host's.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier registration.")] = False,
) -> None:
    """Register this server as an agent.

    The enrollment token comes from CROSSHAUL_TOKEN, --token-file, standard input or a prompt, never from an
    argument: every user of this host can see arguments.
    """
    from agent import run

    settings = read_config(config)
    if is_registered(Files(settings.state)) and not force:
        record = Files(settings.state).registration_file
        raise HostError(f"this host is registered already: {record}", "add --force to replace it")
    registration = run.register(settings, api, _token(token_file), name=name, force=force)
    output.say(f"registered as {registration.agent_id}; now start it: crosshaul agent run --config {config}")


@app.command("run")
@with_plain_errors
def run_agent(config: ConfigOption = DEFAULT_PATH) -> None:
    """Run the agent until it is stopped by SIGTERM or Ctrl-C; SIGHUP reads the roots again."""
    systemd.hold_reload()  # before the imports below, which take half a second
    from agent import run

    run.run(config)


@app.command()
@with_plain_errors
def status(
    config: ConfigOption = DEFAULT_PATH,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show the agent's status on this server; exit with 0 if it is running and connected."""
    from agent import status as agent_status

    files = Files(read_config(config).state)
    current = agent_status.overview(files)
    registration = read_registration(files) if is_registered(files) else None
    name, thing = (registration.agent_id, registration.thing) if registration else (None, None)
    if as_json:
        output.print_json({"agent_id": name, "thing": thing, **json.loads(current.model_dump_json())})
    else:
        _show(name, current)
    if not current.connected:
        raise typer.Exit(Exit.FAILED)


@app.command()
def doctor(config: ConfigOption = DEFAULT_PATH) -> None:
    """Check everything the agent needs; exit with 0 only if all checks pass."""
    from agent.doctor import examine

    failed = 0
    for check in examine(config):
        mark, style = ("ok  ", "green") if check.ok else ("FAIL", "red")
        output.say(f"{mark}  {check.name}: {check.found}", style=style)
        if check.advice:
            output.say(f"      → {check.advice}")
        failed += not check.ok
    if failed:
        raise typer.Exit(Exit.FAILED)


@app.command()
@with_plain_errors
def pin(
    config: ConfigOption = DEFAULT_PATH,
    release_key: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="Trust the publisher's key instead, and no other; repeatable."),
    ] = None,
    released_at: Annotated[
        int, typer.Option(metavar="SECONDS", help="Refuse releases signed before; seconds since 1970.")
    ] = 0,
) -> None:
    """As root: trust the command keys of this host's registration for updates; run by the installer."""
    from agent.updating import pinned_keys
    from agent.updating.publisher_keys import PublisherKeys

    if release_key:
        publisher = PublisherKeys(config)
        publisher.pin(tuple(release_key), released_at)
        output.say(f"releases are verified with the keys in {publisher.path}")
        return
    registration = pinned_keys.pin(config, read_config(config).state)
    output.say(
        f"update orders to {registration.agent_id} are verified with the keys in {pinned_keys.pinned(config)}"
    )


@app.command(hidden=True)
@with_plain_errors
def update(
    config: ConfigOption = DEFAULT_PATH,
    prefix: Annotated[str, typer.Option(metavar="DIR", help="Install below DIR.")] = "",
    restart: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Command that restarts the agent.")
    ] = None,
) -> None:
    """As root: run the stored update order, or finish an interrupted one.

    The systemd unit crosshaul-update runs it.
    """
    from agent import lock, logs
    from agent.cloud.proxy import use_configured
    from agent.updating import pinned_keys
    from agent.updating.installer import RESTART, installer, restarter
    from agent.updating.publisher_keys import PublisherKeys
    from agent.updating.releases import Releases
    from agent.updating.units import Units
    from agent.updating.updater import Updater, UpdaterEnvironment

    if os.geteuid() and not prefix:
        raise HostError(
            "updating the agent here needs root", "or, as an operator: crosshaul agents update NAME"
        )
    settings = read_config(config)
    logs.set_up(settings.log_level)
    use_configured(settings.network)
    releases = Releases(Path(f"{prefix}/opt/crosshaul"))
    environment = UpdaterEnvironment(
        installer(releases, prefix),
        restarter(restart or RESTART),
        lambda keys: pinned_keys.pin_others(config, keys),
        PublisherKeys(config),
        Units(Path(f"{prefix}/etc/systemd/system")),
    )
    with lock.exclusive(releases.lock):
        Updater(releases, settings.state, lambda: pinned_keys.verifier(config), environment).update()


def _show(name: str | None, found: Any) -> None:
    output.say(f"agent      {name or 'not registered'}")
    output.say(f"service    {f'running, process {found.pid}' if found.running else 'not running'}")
    if found.running:
        since = f" since {found.since:%Y-%m-%d %H:%M:%S} UTC" if found.since else ""
        broker = f"connected{since}" if found.connected else f"not connected{since}: {found.reason or 'yet'}"
        output.say(f"broker     {broker}")
    output.say(
        f"hops       {found.moving} active, {found.paused} paused, {found.serving} served to other agents"
    )
    output.say(f"reports    {found.unsent} waiting to be sent")


def _token(token_file: Path | None) -> str:
    """Return the one-time token without surrounding whitespace.

    Raises:
        HostError: There is no token.
    """
    token = _token_text(token_file).strip()
    if not 20 <= len(token) <= 200:
        raise HostError(
            "that is not an enrollment token", "ask an administrator: `crosshaul agents enroll NAME`"
        )
    return token


def _token_text(token_file: Path | None) -> str:
    if token_file:
        try:
            return token_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise HostError(
                f"{token_file} cannot be read: {error}", "give a readable file that holds the token"
            ) from error
    if found := os.environ.get("CROSSHAUL_TOKEN"):
        return found
    if sys.stdin.isatty():
        return str(typer.prompt("Enrollment token", hide_input=True))
    return sys.stdin.read()
