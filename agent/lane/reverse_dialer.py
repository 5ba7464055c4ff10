"""The source dials too: it keeps connections at a hop's destination, as long as that does not come itself.

One more than are in use waits there at any time, and up to a handful when many are: so the destination has
as many as it takes, without a word about how many.
"""

import logging
import ssl
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial

from agent.errors import HopError
from agent.lane.connection_race import HEAD_START_S, ConnectionRace
from agent.lane.dialer import DIAL_TIMEOUT_S, HOP_UNKNOWN_TEXT, Dialer
from agent.lane.inbound import reverse_request
from agent.lane.peer_paths import PeerPath, PeerPathCache
from agent.pull.source import SourceConnectionError
from events.commands import Serve

log = logging.getLogger(__name__)

MAX_IDLE_CONNECTIONS = 4
"""Connections that wait there at most, beside those in use."""
MIN_RETRY_DELAY_S = 1.0
MAX_RETRY_DELAY_S = 30.0
"""Seconds between two attempts: while the destination is there and has not come to this hop, and at most
while it cannot be reached."""
_MAX_ANSWER_BYTES = 4096

ServeConnection = Callable[[ssl.SSLSocket, str, Callable[[], None]], None]
"""Answer on a connection to that address until it ends; the last is to be called at each question."""


class ReverseDialer:
    """For one hop that is served, from one thread of its own."""

    def __init__(
        self,
        dialler: Dialer,
        serve: Serve,
        token: str,
        routes: PeerPathCache,
        converse: ServeConnection,
        unreached: Callable[[Serve, str], None],
    ) -> None:
        """`unreached` is told, once, what each address answered when none let us through."""
        self._dialler = dialler
        self._serve = serve
        self._token = token
        self._routes = routes
        self._converse = converse
        self._unreached = unreached
        self._changed = threading.Condition()
        self._waiting = self._in_use = self._came = 0
        self._stopped = False
        self._race: ConnectionRace[ssl.SSLSocket] | None = None
        self._answered = ""

    def start(self) -> None:
        threading.Thread(target=self._run, name="call", daemon=True).start()

    def stop(self) -> None:
        """From any thread: dial no more. What stands is not touched."""
        with self._changed:
            self._stopped = True
            self._wake()

    @property
    def is_connected(self) -> bool:
        """Does the destination ask on a connection of either side's making?"""
        with self._changed:
            return bool(self._came or self._in_use)

    def on_connected(self) -> None:
        """The destination itself dialled, and asked for this hop: it needs nobody to dial it."""
        with self._changed:
            self._came += 1
            self._wake()

    def on_disconnected(self) -> None:
        """One that came has ended."""
        with self._changed:
            self._came -= 1
            self._wake()

    def _wake(self) -> None:
        if self._race and (self._stopped or self._came):
            self._race.stop()
        self._changed.notify_all()

    def _run(self) -> None:
        known = self._routes.recall(self._serve.peer.agent_id)
        pause = HEAD_START_S if known and not (known.dialled or known.relayed) else 0.0
        while True:
            try:
                return self._dial(known, pause)
            except Exception:  # the destination would wait for us
                log.exception("dialing broke", extra={"hop_id": self._serve.hop_id})
                pause = MAX_RETRY_DELAY_S

    def _dial(self, known: PeerPath | None, pause: float) -> None:
        """Until it is stopped."""
        vain = 0
        while self._is_wanted(pause):
            race = self._race = ConnectionRace(
                {one: partial(self._park, one) for one in self._serve.endpoints},
                known.address if known and known.dialled else None,
            )
            try:
                endpoint, connection = race.run(DIAL_TIMEOUT_S)
            except (SourceConnectionError, HopError) as error:
                vain = 0 if race.answered(HOP_UNKNOWN_TEXT) or self._came else vain + 1
                pause = min(MIN_RETRY_DELAY_S * 2**vain, MAX_RETRY_DELAY_S)
                self._note(str(error), is_there=race.answered(HOP_UNKNOWN_TEXT))
            else:
                pause, vain = 0.0, 0
                self._hand_over(endpoint, connection)

    def _is_wanted(self, pause: float) -> bool:
        """Wait so many seconds, and then until there is need of another connection; False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, pause)
            self._changed.wait_for(lambda: self._stopped or (not self._came and self._lacks_one()))
            return not self._stopped

    def _lacks_one(self) -> bool:
        return self._waiting < min(max(1, self._in_use), MAX_IDLE_CONNECTIONS)

    def _note(self, answers: str, is_there: bool) -> None:
        """Once for each news. A destination that `is_there` will let us in when the hop's turn has come."""
        with self._changed:
            is_over = self._stopped or self._came
        if not is_over and answers != self._answered:
            log.info("lane not dialled", extra={"hop_id": self._serve.hop_id, "reason": answers})
            if not self._answered and not is_there:
                self._unreached(self._serve, answers)
            self._answered = answers

    def _park(self, endpoint: str) -> ssl.SSLSocket:
        """A connection on which the destination has agreed to ask. OSError, LostError."""
        connection = self._dialler.connect(endpoint)
        try:
            connection.sendall(reverse_request(self._serve.hop_id, self._token, endpoint))
            _require_reversed(_head(connection))
        except BaseException:
            connection.close()
            raise
        return connection

    def _hand_over(self, endpoint: str, connection: ssl.SSLSocket) -> None:
        with self._changed:
            self._waiting += 1
        thread = threading.Thread(target=self._answer, args=[endpoint, connection], name="lane", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._count(waiting=-1, in_use=0)
            connection.close()
            raise

    def _answer(self, endpoint: str, connection: ssl.SSLSocket) -> None:
        begun = False

        def asked() -> None:
            nonlocal begun
            if not begun:
                begun = True
                self._routes.remember(self._serve.peer.agent_id, PeerPath(dialled=True, address=endpoint))
                self._count(waiting=-1, in_use=1)

        try:
            with closing(connection):
                self._converse(connection, endpoint, asked)
        except OSError as error:
            log.info("lane connection broke", extra={"peer": endpoint, "reason": str(error)})
        finally:
            self._count(waiting=0 if begun else -1, in_use=-1 if begun else 0)

    def _count(self, waiting: int, in_use: int) -> None:
        with self._changed:
            self._waiting += waiting
            self._in_use += in_use
            self._changed.notify_all()


def _head(connection: ssl.SSLSocket) -> bytes:
    """An answer's lines, and not a byte of the first question, which may follow at once."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte or len(head) > _MAX_ANSWER_BYTES:
            raise SourceConnectionError("hung up instead of asking")
        head += byte
    return bytes(head)


def _require_reversed(head: bytes) -> None:
    status = head.split(b" ", 2)[1:2]
    if status == [b"401"]:
        raise SourceConnectionError(HOP_UNKNOWN_TEXT)
    if status != [b"101"]:
        raise SourceConnectionError(f"answered {head.splitlines()[0].decode('ascii', 'replace')!r}")
