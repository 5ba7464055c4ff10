"""The network proxy forwards with delay and window, counts bytes, and can be cut."""

import hashlib
import os
import socket
import threading
import time

import pytest

from tests.bench.emulated_network import NetworkProfile, emulated_network
from tests.support.network_proxy import Direction, NetworkProxy
from tests.support.waiting import HANG_TIMEOUT_S

SIZE = 3_000_001


class Echo:
    """A server that echoes what it receives and then ends."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=[peer], daemon=True).start()

    def _echo(self, peer):
        with peer:
            try:
                while data := peer.recv(65536):
                    peer.sendall(data)
            except OSError:
                return

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


@pytest.fixture
def echo():
    echo = Echo()
    yield echo
    echo.close()


def there_and_back(port, sent):
    with socket.create_connection(("127.0.0.1", port), HANG_TIMEOUT_S) as near:

        def send():
            near.sendall(sent)
            near.shutdown(socket.SHUT_WR)

        sending = threading.Thread(target=send)
        sending.start()
        answer = bytearray()
        while data := near.recv(65536):
            answer += data
        sending.join()
    return bytes(answer)


@pytest.mark.parametrize("delay", [0.0, 0.005])
def test_every_byte_comes_back_and_is_counted_in_both_directions(echo, delay):
    line = NetworkProxy(echo.port, delay_s=delay, window=200_000)
    sent = os.urandom(SIZE)

    answer = there_and_back(line.port, sent)

    assert hashlib.sha256(answer).digest() == hashlib.sha256(sent).digest()
    assert line.passed == 2 * SIZE
    line.close()


def test_nothing_comes_before_its_time(echo):
    line = NetworkProxy(echo.port, delay_s=0.05)
    began = time.monotonic()
    assert there_and_back(line.port, b"x") == b"x"
    assert time.monotonic() - began >= 0.2  # a round trip to connect, one there and back
    line.close()


def test_no_more_is_under_way_than_the_window():
    way = Direction(delay_s=30, window=100)
    assert way.room() == 100
    way.send(b"x" * 70)
    assert way.room() == 30
    way.send(b"x" * 30)
    closed = threading.Timer(0.05, way.end)
    closed.start()
    assert way.room() == 0  # it waited until the way was closed
    closed.join()


def test_a_cut_ends_what_is_connected_and_lets_the_next_one_through(echo):
    line = NetworkProxy(echo.port)
    with socket.create_connection(("127.0.0.1", line.port), HANG_TIMEOUT_S) as near:
        near.sendall(b"here")
        assert near.recv(4) == b"here"
        line.cut()
        assert near.recv(1) == b""
    assert line.cuts == 1
    assert there_and_back(line.port, b"again") == b"again"
    line.close()


def test_what_is_held_goes_on_at_the_end(echo):
    line = NetworkProxy(echo.port, counts="to target")
    with socket.create_connection(("127.0.0.1", line.port), HANG_TIMEOUT_S) as near:
        with line.held_after(4):
            near.sendall(b"here")
            while not line.is_held:
                time.sleep(0.001)
            near.setblocking(False)
            with pytest.raises(BlockingIOError):
                near.recv(4)
        near.settimeout(HANG_TIMEOUT_S)
        assert near.recv(4) == b"here"
    line.close()


def test_in_a_process_of_its_own_it_tells_what_has_passed(echo):
    with emulated_network(NetworkProfile()) as network:
        assert there_and_back(network.dial(echo.port), b"12345") == b"12345"
        assert network.passed().bytes == 10
    with emulated_network(None) as nothing:
        assert nothing.dial(4460) == 4460
