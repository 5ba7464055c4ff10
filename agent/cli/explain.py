"""Turn any exception into the CliError that an operator sees."""

import sys
from typing import TYPE_CHECKING

from agent.cli.errors import CliError, Exit, exit_code

if TYPE_CHECKING:
    import httpx
    import pydantic

    from agent.cloud.http import ApiProblem


def as_cli_error(error: Exception) -> CliError | None:
    """Return the CliError for an exception; None for wrong usage, which Typer explains, and for a bug."""
    if isinstance(error, CliError):
        return error
    if "agent.cloud.http" not in sys.modules:  # no request was sent: do not load the HTTP libraries now
        return None
    import httpx
    import pydantic

    from agent.cloud.http import ApiProblem

    match error:
        case ApiProblem():
            return _refusal(error)
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return CliError(f"the API's address is wrong: {error}", "Sign in again with the right one.")
        case httpx.TransportError():
            return _unreachable(error)
        case pydantic.ValidationError():
            return _not_understood(error)
    return None


def _refusal(error: "ApiProblem") -> CliError:
    details = error.details
    field_errors = "; ".join(f"{item.get('at', '?')}: {item.get('message', '')}" for item in details.errors)
    problem = error.problem.code
    code = exit_code(error.status, problem)
    included = all(str(item.get("message")) in details.detail for item in details.errors)
    what = details.detail if included else f"{details.detail} ({field_errors})"
    return CliError(what, details.advice or _ADVICE.get(code, ""), code, problem)


_ADVICE = {
    Exit.FORBIDDEN: "`crosshaul whoami` shows your groups; an administrator can add you to another.",
    Exit.NOT_FOUND: "Check the name.",
    Exit.UNREACHABLE: "Try again in a moment.",
    Exit.REFUSED: "Try again when the conflict is resolved.",
    Exit.USAGE: "See --help for how to write it.",
}


def _unreachable(error: "httpx.TransportError") -> CliError:
    reason = str(error) or type(error).__name__
    advice = "Check the network and the address (`crosshaul whoami`), then try again."
    return CliError(f"{_host(error)} does not answer: {reason}", advice, Exit.UNREACHABLE)


def _host(error: "httpx.TransportError") -> str:
    try:
        return error.request.url.host
    except RuntimeError:  # the error carries no request
        return "the API"


def _not_understood(error: "pydantic.ValidationError") -> CliError:
    from agent.cli.arguments import validation_messages

    advice = "This `crosshaul` may be older than the API: update it."
    return CliError(f"cannot parse the API's answer: {validation_messages(error)}", advice, Exit.UNREACHABLE)
