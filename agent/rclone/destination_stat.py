"""What stands where files are to go, before any does: each is looked up by itself, as rclone does it when it
copies, since what the hop's credentials let it list may be nothing else."""

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
from agent.rclone.lsjson import modified
from agent.rclone.process import RcloneProcess
from agent.rclone.rc_server import RcServer

MAX_PARALLEL_STATS = 8
"""As many as rclone itself looks up at once."""
_NO_RIGHT_TO_LIST = "StatusCode: 403"
"""S3's word for an object that is not there, to who may get it and not list what is beside it."""


class DestinationStatError(Exception):
    """rclone could not tell; the words are its own."""


class DestinationStat:
    """For one thread; `close` it after the program."""

    def __init__(self, rclone: RcloneProcess, store: Backend) -> None:
        self._store = store
        self._serving = RcServer(rclone, "--use-server-modtime=false")
        self._workers = ThreadPoolExecutor(MAX_PARALLEL_STATS, "look")
        self._own = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()
        self._serving.close()

    def at(self, paths: Sequence[str]) -> Iterator[FileEntry | None]:
        """What is at each path below the store's top; LookError, LostError."""
        self._serving.ensure()
        return self._workers.map(self._one, paths)

    def _one(self, path: str) -> FileEntry | None:
        status, answer = self._asked(path)
        if status == HTTPStatus.OK:
            return _entry(path, answer["item"]) if answer["item"] else None
        words = str(answer.get("error", ""))
        if self._store.kind == "s3" and _NO_RIGHT_TO_LIST in words:
            return None
        raise DestinationStatError(words)

    def _asked(self, path: str) -> tuple[int, dict[str, Any]]:
        """https://rclone.org/rc/#operations-stat"""
        wanted = {"fs": self._store.top, "remote": path, "opt": {"filesOnly": True, "noMimeType": True}}
        try:
            connection = self._connection()
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/operations/stat", json.dumps(wanted), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceConnectionError(f"rclone: {error}") from error

    def _connection(self) -> http.client.HTTPConnection:
        """The thread's own: it ends with rclone."""
        if not hasattr(self._own, "connection"):
            self._own.connection = self._serving.connection()
            self._connections.append(self._own.connection)
        connection: http.client.HTTPConnection = self._own.connection
        return connection


def _entry(path: str, item: dict[str, Any]) -> FileEntry:
    """Its time is told to the nanosecond, and known to the microsecond."""
    moment = modified(str(item["ModTime"]))
    mtime_ns = round(moment.timestamp() * 10**6) * 1000 if moment else 0
    return FileEntry("f", path, int(item["Size"]), mtime_ns)
