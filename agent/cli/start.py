"""The entry point of the `crosshaul` command."""

import signal


def main() -> None:
    """Load the command and run it. Ctrl-C while it loads ends it without a traceback."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from agent.cli.main import main as run

    signal.signal(signal.SIGINT, before)
    run()
