"""Name the agent that was probably meant, when the API does not know the one that was typed."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING

from agent.cli.errors import CliError

if TYPE_CHECKING:
    from agent.cli.api import ApiClient

_UNKNOWN = "agent-unknown"


@contextmanager
def suggested(api: "ApiClient", typed: Iterable[str | None]) -> Iterator[None]:
    """Add to the API's advice the agent that was probably meant instead of one of `typed`.

    Raises:
        CliError: The API answered that an agent does not exist.
    """
    from agent.cli.explain import as_cli_error
    from agent.cloud.http import ApiProblem

    try:
        yield
    except ApiProblem as error:
        explained = as_cli_error(error)
        if explained is None or explained.problem != _UNKNOWN:
            raise
        hints = " ".join(filter(None, (similar_agent(api, name) for name in typed if name)))
        advice = f"{hints} {explained.advice}".strip()
        raise CliError(explained.what, advice, explained.code, explained.problem) from None


def similar_agent(api: "ApiClient", name: str) -> str:
    """Return `Did you mean server-b?`; empty if the agent exists, or none is similar."""
    import httpx

    from agent.cloud.http import ApiProblem

    # Most misspelled names begin right; of a large fleet not all names are read for the others.
    for beginning in (name[:3].lower(), ""):
        try:
            page = api.get("fleet", search=beginning, limit=200)
        except (ApiProblem, httpx.TransportError):
            continue
        known = [one["agent_id"] for one in page["agents"]]
        if name in known:
            return ""
        if similar := get_close_matches(name, known, n=1, cutoff=0.6):
            return f"Did you mean {similar[0]}?"
    return ""
