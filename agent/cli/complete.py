"""Complete agents, locations and transfer ids in the shell. Whatever goes wrong, nothing is completed.

Names go through the shell's `eval` (zsh) or its expansion (bash), and anyone who may write a file chooses
them: names with a character that a shell could interpret are not offered.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress

_SAFE = re.compile(r"[A-Za-z0-9._@%+=,/:-]+")
_MAX = 50
"""How many names are offered at most."""


def agents(incomplete: str) -> list[str]:
    """Return the names of agents that begin with the text."""
    return _offered(_agents(incomplete), incomplete)


def transfer_ids(incomplete: str) -> list[str]:
    """Return the ids of recent transfers that begin with the text."""
    return _offered(_transfer_ids(), incomplete)


def locations(incomplete: str) -> list[str]:
    """Return agents with a colon, or what is in the directory that the text begins to name."""
    before = _before_colon()
    typed = f"{before}:{incomplete}" if before else incomplete
    agent, colon, path = typed.partition(":")
    if not colon:
        return _offered((f"{name}:" for name in _agents(typed)), typed)
    found = _offered(_paths(agent, path), typed)
    return [one.removeprefix(f"{before}:") for one in found] if before else found


def _before_colon() -> str:
    """Return the agent's name where bash has taken the colon for the end of a word; else an empty text."""
    words, number = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    at = int(number) if number.isdecimal() else 0
    return words[at - 2] if 2 <= at <= len(words) and words[at - 1] == ":" else ""


def _offered(names: Iterator[str], incomplete: str) -> list[str]:
    found: list[str] = []
    with suppress(Exception):  # not signed in, no network, an older API: the shell has nothing to show
        for name in names:
            if name.startswith(incomplete) and _SAFE.fullmatch(name):
                found.append(name)
            if len(found) == _MAX:
                break
    return found


def _agents(beginning: str) -> Iterator[str]:
    from agent.cli.api import connected

    with connected() as api:
        for agent in api.glance("fleet", limit=_MAX, search=beginning)["agents"]:
            yield agent["agent_id"]


def _transfer_ids() -> Iterator[str]:
    from agent.cli.api import connected

    with connected() as api:
        for transfer in api.glance("transfers", limit=_MAX)["transfers"]:
            yield transfer["transfer_id"]


def _paths(agent: str, path: str) -> Iterator[str]:
    """Yield what is in the deepest directory of the path; the roots, before there is a slash."""
    from agent.cli.api import connected

    folder = path[: path.rfind("/") + 1]
    with connected() as api:
        for root in api.glance("agents", agent)["roots"]:
            if not path.startswith(root["path"].rstrip("/") + "/"):
                yield f"{agent}:{root['path'].rstrip('/')}/"
        if folder:
            page = api.post("agents", agent, "browse", body={"path": folder, "limit": 200})
            for entry in page["entries"]:
                yield f"{agent}:{folder}{entry['name']}{'/' if entry['type'] == 'directory' else ''}"
