"""The part of the relay bucket that one hop may access: objects below its own prefix, through rclone.

Only the hop's two agents can read their content: it is the records of a TLS connection.
"""

import http.client
import json
import secrets
import time
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode

from agent.problems import S3_CREDENTIALS_REFUSED
from agent.pull.mover import Credentials
from agent.pull.source import SourceConnectionError
from agent.rclone.errors import are_credentials_refused, hides_reason
from agent.rclone.rc_server import RcServer
from agent.rclone.s3_process import REMOTE, S3RcloneProcess
from events.commands import Relay, S3Route

SINGLE_UPLOAD_MIB = 16
"""MiB up to which rclone uploads an object in one request, so that it appears at once or not at all."""

CHECK_INTERVAL_S = 5.0
"""Seconds between two listings that tell whether S3 still accepts the credentials."""


class RelayBucket:
    """One agent's access to the relay bucket for one hop. Safe to use from any thread."""

    def __init__(self, hop_id: str, relay: Relay, credentials: Credentials) -> None:
        """Prepare rclone. Raise HopError if it is not installed."""
        route = S3Route(region=relay.region, endpoint=relay.endpoint)
        self._rclone = S3RcloneProcess(hop_id, route, credentials)
        self._server = RcServer(self._rclone, f"--streaming-upload-cutoff={SINGLE_UPLOAD_MIB}M")
        self._bucket = f"{REMOTE}:{relay.bucket}"
        self._prefix = relay.prefix.strip("/")
        self._checked_at = time.monotonic()

    def open(self) -> None:
        """Start rclone with credentials.

        Raises:
            HopError: the control plane refuses credentials.
            SourceConnectionError: the bucket cannot be used now.
        """
        self._rclone.check()
        self._server.ensure_running()

    def put(self, name: str, data: bytes) -> None:
        """Write an object. Raise SourceConnectionError if that fails."""
        folder, _, leaf = f"{self._prefix}/{name}".rpartition("/")
        query = urlencode({"fs": self._bucket, "remote": folder})
        kind, body = _multipart_form(leaf, data)
        self._require_ok(self._request("POST", f"/operations/uploadfile?{query}", body, kind))

    def get(self, name: str) -> bytes | None:
        """Return an object's content; None if it does not exist.

        S3 answers "forbidden" for a missing object if the credentials may list only a part of the bucket, so
        None is also returned for that. It answers the same if it does not accept them any more, which only a
        listing tells.

        Raises:
            SourceConnectionError: the bucket cannot be read now.
        """
        status, body = self._request("GET", quote(f"/[{self._bucket}]/{self._prefix}/{name}"))
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        if status >= http.HTTPStatus.BAD_REQUEST and _is_forbidden(body):
            self._check_credentials()
            return None
        return self._require_ok((status, body))

    def delete(self, name: str) -> None:
        """Delete an object. Raise SourceConnectionError if that fails or the object does not exist."""
        self._call("operations/deletefile", remote=f"{self._prefix}/{name}")

    def list_names(self, folder: str = "") -> list[str]:
        """Return the names directly below a folder. Raise SourceConnectionError if that fails."""
        below = f"{self._prefix}/{folder}".rstrip("/")
        options = {"noModTime": True, "noMimeType": True}
        found = self._call("operations/list", remote=below, opt=options)["list"]
        return [str(entry["Name"]) for entry in found]

    def stop_rclone(self) -> None:
        """Stop rclone, from any thread: calls that wait for it raise SourceConnectionError."""
        self._rclone.terminate_all()

    def close(self) -> None:
        self._rclone.close()
        self._server.close()

    def _call(self, verb: str, **parameters: object) -> Any:
        body = json.dumps({"fs": self._bucket, **parameters}).encode()
        return json.loads(self._require_ok(self._request("POST", f"/{verb}", body, "application/json")))

    def _request(
        self, method: str, path: str, body: bytes = b"", content_type: str = ""
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": content_type} if content_type else {}
        with closing(self._server.connection()) as connection:
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                raise SourceConnectionError(f"the relay bucket: {error}") from error

    def _require_ok(self, answer: tuple[int, bytes]) -> bytes:
        status, body = answer
        if status == http.HTTPStatus.OK:
            return body
        if refusal := self._rclone.refusal:
            raise SourceConnectionError(f"the relay bucket: {refusal}")
        text = body.decode("utf-8", "replace")
        if are_credentials_refused(text):
            self._rclone.discard_credentials()
            problem = S3_CREDENTIALS_REFUSED.problem(path="the relay bucket")
            raise SourceConnectionError(problem.message, problem)
        if hides_reason(text):
            self._check_credentials()
        raise SourceConnectionError(f"the relay bucket: {_error_text(body) or f'HTTP status {status}'}")

    def _check_credentials(self) -> None:
        """Raise SourceConnectionError if S3 no longer accepts the credentials, which are then discarded."""
        now = time.monotonic()
        if now - self._checked_at >= CHECK_INTERVAL_S:
            self._checked_at = now
            self.list_names()


def _multipart_form(name: str, data: bytes) -> tuple[str, bytes]:
    """Return the content type and body of a form with one file (RFC 7578)."""
    boundary = secrets.token_hex(16)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return f"multipart/form-data; boundary={boundary}", b"".join(
        [head.encode(), data, f"\r\n--{boundary}--\r\n".encode()]
    )


def _is_forbidden(body: bytes) -> bool:
    return any(
        mark in body for mark in (b"Forbidden", b"AccessDenied", b"status code: 403", b"StatusCode: 403")
    )


def _error_text(body: bytes) -> str:
    """Return the first line of rclone's error."""
    try:
        text = json.loads(body).get("error", "")
    except (ValueError, AttributeError):
        text = body.decode("utf-8", "replace")
    return str(text).strip().partition("\n")[0][:300]


def delete_objects(bucket: RelayBucket) -> None:
    """Delete all objects of the hop. Raise SourceConnectionError if that fails."""
    for folder in bucket.list_names():
        for name in bucket.list_names(folder):
            bucket.delete(f"{folder}/{name}")
