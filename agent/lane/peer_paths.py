"""What worked last between this agent and each other, so that it is tried first the next time."""

import json
import logging
import re
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.quarantine import Quarantine
from events.base import LABEL, display_text

log = logging.getLogger(__name__)

MAX_PEERS = 1000
"""Peers; whoever was met longest ago is forgotten."""


@dataclass(frozen=True)
class PeerPath:
    """How two agents met. Who can dial whom does not depend on who asks for files."""

    dialled: bool
    """Did this agent dial, and not the other?"""
    address: str = ""
    """What was dialled, where that is known."""
    relayed: bool = False
    """Could neither, and went it by the relay bucket?"""


class PeerPathCache:
    """By the peer's name, in a small file: to lose it costs a few attempts. Used by any thread."""

    def __init__(self, path: Path | None = None) -> None:
        """Without a path it is forgotten with the process."""
        self._path = path
        self._lock = threading.Lock()
        self._met = _read(path) if path else {}

    def recall(self, agent_id: str) -> PeerPath | None:
        with self._lock:
            return self._met.get(agent_id)

    def remember(self, agent_id: str, met: PeerPath) -> None:
        with self._lock:
            known = self._met.pop(agent_id, None)
            self._met[agent_id] = met
            while len(self._met) > MAX_PEERS:
                del self._met[next(iter(self._met))]
            if known != met and self._path:
                self._write(self._path)

    def all(self) -> dict[str, PeerPath]:
        """By name, the latest last."""
        with self._lock:
            return dict(self._met)

    def _write(self, path: Path) -> None:
        half_done = path.with_name(f".{path.name}.new")
        try:
            half_done.write_text(json.dumps({name: asdict(met) for name, met in self._met.items()}))
            half_done.replace(path)
        except OSError as error:
            log.warning("routes not remembered", extra={"reason": error.strerror})


def _read(path: Path) -> dict[str, PeerPath]:
    """What cannot be read is set aside: peers are met again without it."""
    try:
        known = json.loads(_content(path))
        return {_name(name): _met(met) for name, met in list(known.items())[-MAX_PEERS:]}
    except FileNotFoundError:
        return {}
    except OSError as error:
        log.warning("routes forgotten: their file cannot be read", extra={"reason": str(error)})
        return {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        Quarantine(path.parent).move(path, f"{type(error).__name__}: {error}")
        return {}


def _content(path: Path) -> str:
    """Raises OSError, ValueError."""
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    return path.read_text()


def _name(said: object) -> str:
    """Raises ValueError if it is not the name of an agent: it would spoil every Hello."""
    if not isinstance(said, str) or not re.fullmatch(LABEL, said):
        raise ValueError(f"{said!r} is not the name of an agent")
    return said


def _met(said: dict[str, object]) -> PeerPath:
    """Older agents wrote nothing of relays."""
    return PeerPath(bool(said["dialled"]), display_text(str(said["address"])), bool(said.get("relayed")))
