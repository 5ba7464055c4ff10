"""Remember how this agent last connected to each peer, to try that way first next time."""

import json
import logging
import re
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.quarantine import Quarantine
from events import forms
from events.base import display_text

log = logging.getLogger(__name__)

MAX_PEERS = 1000
"""Peers that are remembered; the one that was connected longest ago is dropped."""


@dataclass(frozen=True)
class PeerPath:
    """How two agents connected, whichever of the two was the source."""

    dialed: bool
    """True if this agent dialed, false if the peer did."""
    address: str = ""
    """The address that was dialed, if known."""
    relayed: bool = False
    """True if neither could dial the other, and the relay bucket was used."""


class PeerPathCache:
    """Paths by agent ID, in a small file; losing it costs a few attempts. Safe to use from any thread."""

    def __init__(self, path: Path | None = None) -> None:
        """Read the file at `path`; without a path, keep paths in memory only."""
        self._path = path
        self._lock = threading.Lock()
        self._paths = _read(path) if path else {}

    def recall(self, agent_id: str) -> PeerPath | None:
        """Return how this agent last connected to a peer."""
        with self._lock:
            return self._paths.get(agent_id)

    def remember(self, agent_id: str, peer_path: PeerPath) -> None:
        """Save how this agent connected to a peer."""
        with self._lock:
            known = self._paths.pop(agent_id, None)
            self._paths[agent_id] = peer_path
            while len(self._paths) > MAX_PEERS:
                del self._paths[next(iter(self._paths))]
            if known != peer_path and self._path:
                self._write(self._path)

    def all(self) -> dict[str, PeerPath]:
        """Return all paths by agent ID, the most recent last."""
        with self._lock:
            return dict(self._paths)

    def _write(self, path: Path) -> None:
        temporary = path.with_name(f".{path.name}.new")
        try:
            temporary.write_text(
                json.dumps({name: asdict(peer_path) for name, peer_path in self._paths.items()})
            )
            temporary.replace(path)
        except OSError as error:
            log.warning("peer paths not saved", extra={"reason": error.strerror})


def _read(path: Path) -> dict[str, PeerPath]:
    """Return the paths in the file; quarantine a file that is damaged."""
    try:
        known = json.loads(_content(path))
        return {_parse_name(name): _parse_path(fields) for name, fields in list(known.items())[-MAX_PEERS:]}
    except FileNotFoundError:
        return {}
    except OSError as error:
        log.warning("peer paths lost: their file cannot be read", extra={"reason": str(error)})
        return {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        Quarantine(path.parent).move(path, f"{type(error).__name__}: {error}")
        return {}


def _content(path: Path) -> str:
    """Return the file's text.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a regular file or not UTF-8.
    """
    if path.exists() and not path.is_file():
        raise ValueError("not a regular file")
    return path.read_text()


def _parse_name(value: object) -> str:
    """Return the agent ID if it is valid: an invalid one would make every hello message invalid.

    Raises:
        ValueError: it is not an agent ID.
    """
    if not isinstance(value, str) or not re.fullmatch(forms.LABEL, value):
        raise ValueError(f"{value!r} is not an agent ID")
    return value


def _parse_path(fields: dict[str, object]) -> PeerPath:
    """Return the path in these fields; older agents wrote no `relayed`."""
    return PeerPath(bool(fields["dialed"]), display_text(str(fields["address"])), bool(fields.get("relayed")))
