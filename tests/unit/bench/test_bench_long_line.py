"""The line between two network namespaces delays, loses and goes silent as its profile says."""

import hashlib
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.tcp import congestion_control
from tests.support import long_line
from tests.support.long_line import LineProfile
from tests.support.waiting import HANG_TIMEOUT_S

pytestmark = pytest.mark.skipif(bool(long_line.lacks()), reason=str(long_line.lacks()))

ROUND_TRIP_S = 0.08
NETWORK = Path("/proc/thread-self/ns/net")
ECHO = """
import socket
with socket.create_server(("10.99.0.2", 5000)) as server:
    print("ready", flush=True)
    connection, _ = server.accept()
    while data := connection.recv(65536):
        connection.sendall(data)
"""


@contextmanager
def connected(line):
    """Yield a connection from the near end to a program at the far end that sends everything back."""
    server = subprocess.Popen(line.far([sys.executable, "-c", ECHO]), stdout=subprocess.PIPE)
    try:
        assert server.stdout
        server.stdout.readline()
        with socket.create_connection((line.far_address, 5000), HANG_TIMEOUT_S) as connection:
            yield connection
    finally:
        server.kill()
        server.communicate()


def test_bytes_cross_a_lossy_line_intact_and_each_answer_takes_a_round_trip():
    data = os.urandom(100_000)
    profile = LineProfile(round_trip_s=ROUND_TRIP_S, loss=0.03)
    with long_line.long_line(profile) as line, line.near(), connected(line) as connection:
        assert congestion_control(connection) == "reno"
        began = time.monotonic()
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
        assert time.monotonic() - began >= ROUND_TRIP_S
    assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()


def test_a_silent_line_holds_everything_back_and_tells_nobody():
    profile = LineProfile(round_trip_s=0.01)
    with long_line.long_line(profile) as line, line.near(), connected(line) as connection:
        with line.silent():
            connection.sendall(b"anybody there?")
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(100)
        connection.settimeout(HANG_TIMEOUT_S)
        assert connection.recv(100) == b"anybody there?"


def test_what_a_queue_cannot_hold_is_dropped_and_sent_again():
    """At 1 Mbit/s with a queue of two packets, TCP has to slow down, but nothing is lost to the reader."""
    profile = LineProfile(round_trip_s=0.01, rate_bits=1_000_000, queue_bytes=3_000)
    data = os.urandom(60_000)
    with long_line.long_line(profile) as line, line.near(), connected(line) as connection:
        began = time.monotonic()
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: connection.recv(65536), b"")) == data
        assert time.monotonic() - began >= 8 * len(data) / profile.rate_bits


def test_the_namespaces_are_gone_afterward_and_the_thread_is_back():
    before = NETWORK.readlink()
    with long_line.long_line(LineProfile()) as line:
        with line.near():
            assert NETWORK.readlink() != before
        assert line.near_network.exists()
    assert NETWORK.readlink() == before
    assert not line.near_network.exists()
