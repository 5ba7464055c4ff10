"""The `crosshaul` command. Subcommands import what they need when they run, to keep --help fast."""

import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from agent import VERSION
from agent.cli import output, streams, timing
from agent.cli.commands import (
    account,
    agents,
    audit,
    browse,
    costs,
    cp,
    login,
    manifest,
    policies,
    support,
    sync,
    templates,
    transfers,
)
from agent.cli.errors import EXIT_TABLE, CliError, Exit
from agent.cli.streams import StdoutError

_AS_JSON = "crosshaul.json"


class _Root(TyperGroup):
    """The root command: loads the host's commands on demand and prints errors."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name == "agent":
            from agent.cli.commands import host

            return name, typer.main.get_command(host.app), rest
        return name, command, rest

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        ctx.meta[_AS_JSON] = "--json" in args  # the subcommand's option is parsed later, and that may fail
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        as_json = ctx.meta[_AS_JSON]
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort):
            raise typer.Exit(Exit.INTERRUPTED) from None
        except typer.TyperException as error:
            if not as_json:
                raise  # Typer prints it with the usage
            output.print_error(CliError(error.format_message(), "See --help."), as_json=True)
            raise typer.Exit(Exit.USAGE) from None
        except StdoutError:
            raise  # `main` ends the program: what is left of the output must not be written again
        except Exception as error:
            explained = _as_cli_error(error)
            if explained is None or ctx.params.get("debug"):
                raise
            output.print_error(explained, as_json=as_json)
            raise typer.Exit(explained.code) from None


def _as_cli_error(error: Exception) -> CliError | None:
    from agent.cli.explain import as_cli_error

    return as_cli_error(error)


app = typer.Typer(
    cls=_Root,
    name="crosshaul",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help is twice as fast and reads well in a pipe
    epilog="\b\n" + EXIT_TABLE,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        output.say(f"crosshaul {VERSION}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,  # noqa: ARG001 - `parse_args` reads it
    version: Annotated[  # noqa: ARG001 - `_version` answers it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Move files between servers, and from S3 to many of them.

    \b
      crosshaul login https://….cloudfront.net        the console's address
      crosshaul agents
      crosshaul browse server-b:/data
      crosshaul cp server-b:/data/raw/ server-c:/archive/ --watch
    """
    timing.current.set(context.find_object(timing.Timing) or timing.Timing())


for command in (
    login.login,
    login.logout,
    login.whoami,
    browse.browse,
    cp.cp,
    sync.sync,
    transfers.transfers,
    transfers.show,
    transfers.wait,
    manifest.manifest,
    costs.costs,
    support.support,
    transfers.cancel,
    transfers.pause,
    transfers.resume,
    transfers.retry,
    transfers.acknowledge,
    transfers.approve,
    transfers.decline,
):
    app.command()(command)
app.command("ls", help="List a directory: another name of `browse`.")(browse.browse)
app.add_typer(account.app, name="account")
app.add_typer(agents.app, name="agents")
app.add_typer(templates.app, name="templates")
app.add_typer(policies.app, name="policies")
app.add_typer(audit.app, name="audit")


@app.command("agent")
def agent() -> None:
    """On a server: register, run and check its agent."""


@app.command("help")
def help_(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND…", help="As in `help agents enroll`.")
    ] = None,
    man: Annotated[
        bool, typer.Option("--man", help="Print the manual page of all commands, for `man -l -`.")
    ] = False,
) -> None:
    """Show the help of a command.

    \b
      crosshaul help agents enroll
      crosshaul help --man | man -l -
    """
    whole = context.find_root().command
    if man:
        from agent.cli.manual import manual

        sys.stdout.write(manual(whole.context_class(whole, info_name="crosshaul")))
        return
    whole.main([*(words or []), "--help"], prog_name="crosshaul")


def main() -> None:
    """Run the command; the entry point of the program."""
    streams.prepare()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except StdoutError as error:
        streams.discard_stdout()
        _end(error)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        _end(error if isinstance(error, CliError) else _bug(error))


def _end(error: CliError) -> NoReturn:
    output.print_error(error, as_json="--json" in sys.argv)
    raise SystemExit(error.code) from None


def _bug(error: Exception) -> CliError:
    what = f"internal error in crosshaul: {type(error).__name__}: {error}"
    return CliError(what, "`crosshaul --debug …` shows where; please report it.", Exit.BUG)
