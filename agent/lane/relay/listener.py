"""The source's ear at the relay bucket: it answers on the connections that a hop's destination begins there,
as on those that come in at its port.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable

from agent.errors import HopError
from agent.lane.dialer import DIAL_TIMEOUT_S
from agent.lane.listener import HANDSHAKE_TIMEOUT_S
from agent.lane.relay.bucket import RelayBucket, delete_objects
from agent.lane.relay.tunnel import GONE, Tunnel, end
from agent.pull.source import SourceConnectionError
from agent.rclone.s3_process import Credentials
from events.commands import Relay

log = logging.getLogger(__name__)

MIN_POLL_INTERVAL_S = 1.0
"""Seconds between two looks for new connections."""
MAX_POLL_INTERVAL_S = 10.0
"""The same at most, while nobody comes: a hop may wait long for its turn."""
MAX_CONNECTIONS = 64
"""Connections; whoever begins more has to wait."""
CLOSE_TIMEOUT_S = 5.0

Answer = Callable[[str, socket.socket, Callable[[], None]], None]
"""Answers for a hop, on a connection, until it ends; the last is to be called at each question."""


class RelayListener:
    """For one hop that is served, from a thread of its own."""

    def __init__(
        self,
        hop_id: str,
        relay: Relay,
        credentials: Credentials,
        answer: Answer,
        is_met: Callable[[str], bool],
        *,
        at_once: bool = False,
    ) -> None:
        """`is_met` says whether the destination is connected directly: then there is nothing to hear. If it
        came this way the last time it does so `at_once`, and looks for a better one beside."""
        self._hop_id = hop_id
        self._relay = relay
        self._credentials = credentials
        self._answer = answer
        self._is_met = is_met
        self._at_once = at_once
        self._tunnels: dict[str, Tunnel] = {}
        """By name: all that there ever were."""
        self._stopped = threading.Event()
        self._sweeps = False
        self._thread = threading.Thread(target=self._run, name="hear", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, sweep: bool) -> None:
        """From any thread: hear no more; with `sweep`, remove what is left in the bucket."""
        self._sweeps = sweep
        self._stopped.set()

    def restart(self) -> None:
        """From any thread: another attempt at the hop is served now. No connection belongs to it yet."""
        for tunnel in list(self._tunnels.values()):
            tunnel.stop()

    def join(self) -> None:
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        """For DIAL_WITHIN the destination looks for a better way."""
        bucket: RelayBucket | None = None
        pause = 0.0 if self._at_once else DIAL_TIMEOUT_S
        try:
            while not self._stopped.wait(pause):
                pause = max(pause, MIN_POLL_INTERVAL_S)
                if self._is_met(self._hop_id) and not self._is_busy:
                    continue
                try:
                    bucket = bucket or RelayBucket(self._hop_id, self._relay, self._credentials)
                    came = self._look(bucket)
                except (SourceConnectionError, HopError) as error:
                    log.info("relay not heard", extra={"hop_id": self._hop_id, "reason": str(error)})
                    came = False
                except Exception:  # the destination would wait for us
                    log.exception("relay not heard", extra={"hop_id": self._hop_id})
                    came, pause = False, MAX_POLL_INTERVAL_S
                pause = (
                    MIN_POLL_INTERVAL_S if came or self._is_busy else min(pause * 1.2, MAX_POLL_INTERVAL_S)
                )
        finally:
            if bucket:
                self._end(bucket)

    @property
    def _is_busy(self) -> bool:
        return any(tunnel.is_alive for tunnel in self._tunnels.values())

    def _look(self, bucket: RelayBucket) -> bool:
        """Answer whoever is new; was anybody? LostError, HopError."""
        bucket.open()
        came = False
        for name in bucket.names():
            alive = sum(tunnel.is_alive for tunnel in self._tunnels.values())
            if name not in self._tunnels and alive < MAX_CONNECTIONS:
                came = True
                self._welcome(bucket, name)
        return came

    def _welcome(self, bucket: RelayBucket, name: str) -> None:
        tunnel = self._tunnels[name] = Tunnel(bucket, name, dialled=False)
        tunnel.start()
        threading.Thread(target=self._converse, args=[bucket, tunnel], name="lane", daemon=True).start()

    def _converse(self, bucket: RelayBucket, tunnel: Tunnel) -> None:
        """One that was begun with another process of ours gets no further than the handshake, nor does a
        stranger's: it is told."""
        tunnel.end.settimeout(HANDSHAKE_TIMEOUT_S)
        try:
            with tunnel.end:
                self._answer(self._hop_id, tunnel.end, lambda: self._leave_older(tunnel.name))
        except OSError as error:  # ssl.SSLError is one
            log.info("relayed connection broke", extra={"hop_id": self._hop_id, "reason": str(error)})
            self._refuse(bucket, tunnel.name)
        finally:
            tunnel.stop()

    def _leave_older(self, name: str) -> None:
        """Whoever asks here is the destination that lives. One that was killed says no more; its connections
        would wait for it."""
        for tunnel in list(self._tunnels.values()):
            if tunnel.is_older_than(name):
                tunnel.stop()

    def _refuse(self, bucket: RelayBucket, name: str) -> None:
        if not self._stopped.is_set():
            try:
                bucket.put(f"{name}/{GONE}", b"-")
            except SourceConnectionError as error:
                log.info("relay not told", extra={"hop_id": self._hop_id, "reason": str(error)})

    def _end(self, bucket: RelayBucket) -> None:
        end(self._tunnels.values(), CLOSE_TIMEOUT_S)
        try:
            if self._sweeps:
                delete_objects(bucket)
                time.sleep(CLOSE_TIMEOUT_S)  # in which the destination, if it lives, ends its connections
                delete_objects(bucket)
        except SourceConnectionError as error:  # in a day it is gone by itself
            log.info("relay not swept", extra={"hop_id": self._hop_id, "reason": str(error)})
        finally:
            bucket.close()
