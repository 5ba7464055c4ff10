"""The operator's session: the API's address and Cognito's tokens, readable by this user only."""

import base64
import binascii
import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from agent.cli.errors import CliError, NotSignedInError

_EXPIRY_MARGIN_S = 120
"""Seconds before its end at which an id token counts as expired: a request may take a while."""


@dataclass(frozen=True)
class Session:
    """Where we are signed in, and as whom."""

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
        """The id token's claims, not verified: to show them, never to trust them."""
        try:
            body = self.id_token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (IndexError, ValueError, binascii.Error):
            return {}
        return claims if isinstance(claims, dict) else {}

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups as Cognito writes them: a list, or one text."""
        groups = self.claims.get("cognito:groups", [])
        return tuple(groups.split(",")) if isinstance(groups, str) else tuple(map(str, groups))

    def is_stale(self, now: float | None = None) -> bool:
        ends = self.claims.get("exp", 0)
        return not isinstance(ends, int | float) or (now or time.time()) > ends - _EXPIRY_MARGIN_S

    def with_token(self, id_token: str, refresh_token: str | None) -> Self:
        """With a fresh id token; Cognito sends a new refresh token only when it rotates them."""
        return replace(self, id_token=id_token, refresh_token=refresh_token or self.refresh_token)


def session_file() -> Path:
    """`session.json` under $CROSSHAUL_HOME, $XDG_CONFIG_HOME/crosshaul or ~/.config/crosshaul."""
    if home := os.environ.get("CROSSHAUL_HOME"):
        return Path(home) / "session.json"
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "crosshaul" / "session.json"


def load() -> Session:
    """The stored session; NotSignedIn if there is none or it cannot be read as one."""
    try:
        return Session(**json.loads(session_file().read_text()))
    except FileNotFoundError:
        raise NotSignedInError from None
    except (ValueError, TypeError):
        raise NotSignedInError(f"{session_file()} is damaged, so you are not signed in") from None
    except OSError as error:
        raise CliError(f"cannot read the session: {error}", "Check the file's owner and mode.") from error


def save(session: Session) -> None:
    """Replace the stored session in one step; no moment sees half a file or a wider mode than 0600."""
    target = session_file()
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(target, json.dumps(asdict(session), indent=2) + "\n")
    except OSError as error:
        advice = "Make that directory writable, or set CROSSHAUL_HOME to another."
        raise CliError(f"cannot keep the session: {error}", advice) from error


def _replace(target: Path, text: str) -> None:
    number, name = tempfile.mkstemp(dir=target.parent, prefix=".session-")  # mkstemp makes it 0600
    try:
        with os.fdopen(number, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def forget() -> bool:
    """Remove the stored session; False if there was none."""
    try:
        session_file().unlink()
    except FileNotFoundError:
        return False
    return True
