"""Other users of a host, on the ports and sockets that are there for an agent's own rclone."""

import contextlib
import http.client
import os
import socket
import stat
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler

import pytest

from agent.rclone import loopback_server
from agent.rclone.loopback_server import LoopbackServer, QuietHandler, user_of
from agent.rclone.rc_server import RcServer
from tests.support.waiting import HANG_TIMEOUT_S


class ServerHandler(QuietHandler, BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def server():
    with contextlib.closing(LoopbackServer(ServerHandler, None, "test")) as server:
        yield server


def status(server: LoopbackServer[None]) -> int:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=HANG_TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().status


def test_the_agents_own_user_is_answered(server):
    assert status(server) == 200


def test_another_user_is_not_answered(server, monkeypatch, caplog):
    """The agent here is another user than the one who connects; the kernel tells it who that is."""
    own = os.geteuid()
    monkeypatch.setattr(loopback_server.os, "geteuid", lambda: own + 1)
    for _ in range(50):
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            status(server)
    assert "another user" in caplog.text
    assert not [one for one in threading.enumerate() if "process_request_thread" in one.name]
    monkeypatch.undo()
    assert status(server) == 200


CONNECT = """
import os, socket, sys
if os.geteuid() == 0:
    os.setuid(65534)
print(os.geteuid(), flush=True)
connection = socket.socket()
connection.connect(("127.0.0.1", int(sys.argv[1])))
print(connection.recv(100))
"""
"""Connects as another user where that is possible, as root."""


def test_the_user_of_a_connection_is_the_one_whose_process_made_it():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(HANG_TIMEOUT_S)
        command = [sys.executable, "-I", "-c", CONNECT, str(listening.getsockname()[1])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout
            user_id = int(other.stdout.readline())
            accepted, address = listening.accept()
            with accepted:
                assert user_of(address, accepted.getsockname()) == user_id
    assert user_of(("127.0.0.1", 1), ("127.0.0.1", 2)) is None


def test_a_connection_that_its_process_has_closed_is_not_roots():
    """The kernel lists it as root's, so an agent of root would read what another user had sent before."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connection = socket.create_connection(listening.getsockname())
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        accepted, address = listening.accept()
        with accepted:
            assert user_of(address, accepted.getsockname()) == os.geteuid()
            connection.close()
            assert user_of(address, accepted.getsockname()) is None


def test_a_real_other_user_gets_nothing(server, monkeypatch):
    """Not even an answer to a wrong token: its connection is closed before it is read."""
    if os.geteuid() != 0:
        monkeypatch.setattr(loopback_server.os, "geteuid", lambda: -1)
    command = [sys.executable, "-I", "-c", CONNECT, str(server.server_address[1])]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=HANG_TIMEOUT_S, check=False)
    assert "b''" in ended.stdout or "ConnectionResetError" in ended.stderr


def test_what_the_kernel_does_not_tell_is_refused(server, monkeypatch, tmp_path):
    without_list = partial(user_of, sockets=tmp_path / "none")
    monkeypatch.setattr(loopback_server, "user_of", without_list)
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        status(server)


def test_rclones_own_socket_is_in_a_directory_of_the_agents_user():
    rc = RcServer(None)
    try:
        found = rc.directory.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, os.geteuid())
    finally:
        rc.close()
