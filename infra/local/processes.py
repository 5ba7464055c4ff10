"""Start and end processes that outlive the program that started them, and find free ports."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

_PORTS = (10_000, 32_768)
"""Where free ports are taken from: below net.ipv4.ip_local_port_range as Linux has it."""
_children: dict[int, subprocess.Popen[bytes]] = {}


def spawn(command: list[str], environment: dict[str, str], log: Path) -> int:
    """Start a command in its own session, with output to `log`; return its process id."""
    with log.open("ab") as stream:
        child = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    _children[child.pid] = child
    return child.pid


def is_alive(pid: int, program: str) -> bool:
    """Return whether `pid` runs and is still this program; ids are reused after a reboot."""
    if child := _children.get(pid):
        return child.poll() is None
    try:
        return program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def end(pid: int, timeout_s: float) -> bool:
    """Send SIGTERM, and SIGKILL after `timeout_s` seconds; return whether SIGTERM was enough."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if _ended(pid, timeout_s):
        return True
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _ended(pid, timeout_s)
    return False


def _ended(pid: int, timeout_s: float) -> bool:
    """Wait for a process to end, whether it is a child, which must be reaped, or not."""
    if child := _children.get(pid):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout_s)
            del _children[pid]
            return True
        return False
    deadline = time.monotonic() + timeout_s
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_free(port: int) -> bool:
    """Return whether a server could bind the port on every interface, as the broker does."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104  # bound for a moment, never listened on
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return different ports that are free.

    They lie below those that the kernel gives to outgoing connections: one of these could take a port between
    this answer and the server's start.
    """
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(*_PORTS)  # noqa: S311
        if is_free(port):
            found.add(port)
    return list(found)


def free_port() -> int:
    """Return a port that is free, as `free_ports` does."""
    return free_ports(1)[0]
