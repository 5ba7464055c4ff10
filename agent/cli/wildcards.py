"""Refuse wildcards in locations: no shell expands them on another host. Say what to write instead."""

import re
import shlex

from agent.cli.errors import CliError


def refuse(source: str, destinations: list[str]) -> None:
    """Raise CliError if a location has a wildcard; for the source, with the command to use."""
    for place in destinations:
        if "*" in place:
            raise CliError(f"{place}: a destination cannot have a wildcard", "Name one directory.")
    found = re.search(r"[*?]", source)
    if not found or (source.startswith("s3://") and found[0] == "?"):  # in a key it is a common character
        return
    start = source.rfind("/", 0, found.start()) + 1 or found.start()
    folder, pattern = source[:start], source[start:]
    what = f"{source}: wildcards are not expanded on another host"
    if not folder.endswith("/"):
        raise CliError(what, "Name a directory, and select in it with --include.")
    filters = "" if pattern in {"*", "**"} else f" --include {shlex.quote(_filter(pattern))}"
    command = f"crosshaul cp {shlex.quote(folder)} {shlex.join(destinations)}{filters}"
    raise CliError(what, f"Write: {command}")


def _filter(pattern: str) -> str:
    """Return the pattern as a filter, anchored at the source; a directory stands for all that it holds."""
    return f"/{pattern}**" if pattern.endswith("/") else f"/{pattern}"
