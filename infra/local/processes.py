"""Processes that outlive who started them, found again by their id, and free ports for them."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

_children: dict[int, subprocess.Popen[bytes]] = {}


def spawn(command: list[str], environment: dict[str, str], log: Path) -> int:
    """Start it in a session of its own, speaking to `log`; its id."""
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
    """Does `pid` run, and is it still this program? Ids are given again after a restart of the machine."""
    if child := _children.get(pid):
        return child.poll() is None
    try:
        return program.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def end(pid: int, patience: float) -> bool:
    """SIGTERM; after `patience` seconds SIGKILL. True if the first was enough."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if _ended(pid, patience):
        return True
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _ended(pid, patience)
    return False


def _ended(pid: int, patience: float) -> bool:
    """Wait for the end of a process, whether it is a child of ours (which must be reaped) or not."""
    if child := _children.get(pid):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            del _children[pid]
            return True
        return False
    deadline = time.monotonic() + patience
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_free(port: int) -> bool:
    """Could a server bind it on every interface, as the broker does?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104  # bound for a moment, never listened on
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, all different."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
