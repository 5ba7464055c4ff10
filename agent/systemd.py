"""What systemd sends to the agent and expects of it: SIGHUP to reload, and a message once it is ready."""

import os
import signal
import socket
from contextlib import suppress

_held_reloads = 0


def hold_reload() -> None:
    """Remember SIGHUP from now on, until the agent can handle it: by default the signal ends a process."""
    signal.signal(signal.SIGHUP, _hold)


def take_held_reload() -> bool:
    """Return whether a SIGHUP arrived since `hold_reload`, or since the last call."""
    global _held_reloads
    held, _held_reloads = _held_reloads, 0
    return bool(held)


def _hold(*_: object) -> None:
    global _held_reloads
    _held_reloads += 1


def notify_ready() -> None:
    """Tell systemd that the agent handles signals (sd_notify(3)); do nothing under another supervisor."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = f"\0{address[1:]}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(b"READY=1", address)
