"""Look up what exists at the destination, each path by itself, as `rclone copy` does.

The hop's credentials may not allow listing anything else.
"""

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from agent.files.listing import FileEntry
from agent.pull.source import SourceConnectionError
from agent.rclone.backend import Backend
from agent.rclone.lsjson import parse_time
from agent.rclone.process import RcloneProcess
from agent.rclone.rc_server import RcServer

MAX_PARALLEL_STATS = 8
"""Parallel lookups; rclone uses the same number."""
_NO_RIGHT_TO_LIST = "StatusCode: 403"
"""S3's answer for a missing object, if the credentials allow reading it but not listing."""


class DestinationStatError(Exception):
    """rclone failed to look up a path; the message is rclone's."""


class DestinationStat:
    """Looks up paths, for one thread; `close` it after rclone."""

    def __init__(self, rclone: RcloneProcess, backend: Backend) -> None:
        self._backend = backend
        self._server = RcServer(rclone, "--use-server-modtime=false")
        self._workers = ThreadPoolExecutor(MAX_PARALLEL_STATS, "stat")
        self._thread_local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()
        self._server.close()

    def stat_all(self, paths: Sequence[str]) -> Iterator[FileEntry | None]:
        """Yield what is at each path below the backend's root, in this order; None where nothing is.

        Raises:
            DestinationStatError: rclone could not look up a path.
            SourceConnectionError: rclone does not answer.
        """
        self._server.ensure_running()
        return self._workers.map(self._stat, paths)

    def _stat(self, path: str) -> FileEntry | None:
        status, answer = self._request(path)
        if status == HTTPStatus.OK:
            return _entry(path, answer["item"]) if answer["item"] else None
        text = str(answer.get("error", ""))
        if self._backend.kind == "s3" and _NO_RIGHT_TO_LIST in text:
            return None
        raise DestinationStatError(text)

    def _request(self, path: str) -> tuple[int, dict[str, Any]]:
        """Call rclone: https://rclone.org/rc/#operations-stat."""
        query = {"fs": self._backend.root, "remote": path, "opt": {"filesOnly": True, "noMimeType": True}}
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


def _entry(path: str, item: dict[str, Any]) -> FileEntry:
    """Return the entry; its time is printed in nanoseconds and precise to the microsecond."""
    moment = parse_time(str(item["ModTime"]))
    mtime_ns = round(moment.timestamp() * 10**6) * 1000 if moment else 0
    return FileEntry("f", path, int(item["Size"]), mtime_ns)
