"""Look up files of a remote, each by itself: it may hold millions of others."""

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from agent.pull.source import SourceConnectionError
from agent.rclone.backend import Backend
from agent.rclone.names import to_rclone
from agent.rclone.rc_server import RcServer

MAX_PARALLEL_STATS = 8
"""Parallel lookups; rclone uses the same number."""


class ObjectStatError(Exception):
    """rclone failed to look up a path; the message is rclone's."""


Found = dict[str, Any] | ObjectStatError | None
"""A file as rclone describes it, or why it could not be looked up; None if there is none."""


class ObjectStat:
    """Looks up paths, for one thread; the server is closed by its owner."""

    def __init__(self, server: RcServer, backend: Backend) -> None:
        self._backend = backend
        self._server = server
        self._workers = ThreadPoolExecutor(MAX_PARALLEL_STATS, "stat")
        self._thread_local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()

    def stat_all(self, paths: Sequence[str]) -> Iterator[Found]:
        """Yield what is at each path below the backend's root, in this order.

        Raises:
            SourceConnectionError: rclone does not answer.
        """
        self._server.ensure_running()
        return self._workers.map(self._stat, paths)

    def _stat(self, path: str) -> Found:
        status, answer = self._request(path)
        if status == HTTPStatus.OK:
            item: dict[str, Any] | None = answer["item"]
            return item
        return ObjectStatError(str(answer.get("error", "")))

    def _request(self, path: str) -> tuple[int, dict[str, Any]]:
        """Call rclone: https://rclone.org/rc/#operations-stat."""
        options = {"filesOnly": True, "noMimeType": True}
        query = {"fs": self._backend.root, "remote": to_rclone(path), "opt": options}
        try:
            connection = self._connection()
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/operations/stat", json.dumps(query), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceConnectionError(f"rclone: {error}") from error

    def _connection(self) -> http.client.HTTPConnection:
        """Return this thread's connection; it ends with rclone."""
        if not hasattr(self._thread_local, "connection"):
            self._thread_local.connection = self._server.connection()
            self._connections.append(self._thread_local.connection)
        connection: http.client.HTTPConnection = self._thread_local.connection
        return connection
