"""The operator's session: the API's address and Cognito's tokens, readable by this user only."""

import base64
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from agent.cli.errors import CliError, LoginRequiredError

_EXPIRY_MARGIN_S = 120
"""Seconds before its expiry at which an id token is renewed, so that it outlives the request."""


@dataclass(frozen=True)
class Session:
    """A signed-in session: API, Cognito client, user and tokens."""

    url: str
    region: str
    client_id: str
    endpoint: str | None
    """Cognito's address; None for AWS itself."""
    user: str
    id_token: str
    refresh_token: str

    @property
    def claims(self) -> dict[str, Any]:
        """The id token's claims, not verified: for display only."""
        try:
            body = self.id_token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (IndexError, ValueError, RecursionError):
            return {}
        return claims if isinstance(claims, dict) else {}

    @property
    def groups(self) -> tuple[str, ...]:
        """The user's groups; Cognito writes them as a list or as one comma-separated string."""
        match self.claims.get("cognito:groups"):
            case str(text):
                return tuple(text.split(","))
            case list(names):
                return tuple(map(str, names))
            case _:
                return ()

    def is_stale(self, now: float | None = None) -> bool:
        expires = self.claims.get("exp", 0)
        return not isinstance(expires, int | float) or (now or time.time()) > expires - _EXPIRY_MARGIN_S

    def with_token(self, id_token: str, refresh_token: str | None) -> Self:
        """Return a copy with new tokens. Cognito sends a refresh token only when it rotates it."""
        return replace(self, id_token=id_token, refresh_token=refresh_token or self.refresh_token)


def session_file() -> Path:
    """Return the file: in $CROSSHAUL_HOME, $XDG_CONFIG_HOME/crosshaul or ~/.config/crosshaul."""
    if home := os.environ.get("CROSSHAUL_HOME"):
        return Path(home) / "session.json"
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "crosshaul" / "session.json"


def load() -> Session:
    """Return the stored session.

    Raises:
        LoginRequiredError: No session is stored, or the file is damaged.
        CliError: The file cannot be read.
    """
    try:
        return _parse(session_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LoginRequiredError from None
    except (ValueError, TypeError, RecursionError):
        raise LoginRequiredError(f"{session_file()} is damaged, so you are not signed in") from None
    except OSError as error:
        raise CliError(f"cannot read the session: {error}", "Check the file's owner and mode.") from error


def _parse(text: str) -> Session:
    """Return the session in a file's text; raises ValueError, TypeError or RecursionError if it has none."""
    session = Session(**json.loads(text))
    values = asdict(session)
    values["endpoint"] = session.endpoint or ""
    if not all(isinstance(value, str) for value in values.values()):
        raise TypeError("a field is not text")
    return session


def save(session: Session) -> None:
    """Write the session atomically, with mode 0600.

    Raises:
        CliError: The file cannot be written.
    """
    target = session_file()
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(target, json.dumps(asdict(session), indent=2) + "\n")
    except OSError as error:
        advice = "Make that directory writable, or set CROSSHAUL_HOME to another one."
        raise CliError(f"cannot store the session: {error}", advice) from error


def _replace(target: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".session-")  # mkstemp uses mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def forget() -> bool:
    """Delete the stored session and return whether there was one."""
    try:
        session_file().unlink()
    except FileNotFoundError:
        return False
    return True
