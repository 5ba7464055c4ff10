"""The relay bucket, as far as one hop may see it: objects below its own prefix, by rclone.

What is in them only the hop's two agents can read: a TLS connection's records, as they would lie on a wire.
"""

import http.client
import json
import secrets
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode

from agent.pull.source import SourceConnectionError
from agent.rclone.rc_server import RcServer
from agent.rclone.s3_process import REMOTE, Credentials, S3RcloneProcess
from events.commands import Relay, S3Route

SINGLE_UPLOAD_MIB = 16
"""MiB up to which rclone uploads an object in one request, so that it is there at once or not at all."""


class RelayBucket:
    """One agent's view of it, for one hop. Used by any thread."""

    def __init__(self, hop_id: str, relay: Relay, credentials: Credentials) -> None:
        """HopError if there is no rclone here."""
        route = S3Route(region=relay.region, endpoint=relay.endpoint)
        self._rclone = S3RcloneProcess(hop_id, route, credentials)
        self._serving = RcServer(self._rclone, f"--streaming-upload-cutoff={SINGLE_UPLOAD_MIB}M")
        self._bucket = f"{REMOTE}:{relay.bucket}"
        self._prefix = relay.prefix.strip("/")

    def open(self) -> None:
        """HopError if the control plane refuses it, LostError if it cannot be had now."""
        self._rclone.check()
        self._serving.ensure()

    def put(self, name: str, data: bytes) -> None:
        """LostError."""
        folder, _, leaf = f"{self._prefix}/{name}".rpartition("/")
        query = urlencode({"fs": self._bucket, "remote": folder})
        kind, body = _form(leaf, data)
        self._must(self._ask("POST", f"/operations/uploadfile?{query}", body, kind))

    def get(self, name: str) -> bytes | None:
        """The object; None if there is none, or it is forbidden: S3 says that of one that is not there to
        whoever may list a part of the bucket only. LostError."""
        status, body = self._ask("GET", quote(f"/[{self._bucket}]/{self._prefix}/{name}"))
        if status == http.HTTPStatus.NOT_FOUND or (status >= http.HTTPStatus.BAD_REQUEST and _forbids(body)):
            return None
        return self._must((status, body))

    def remove(self, name: str) -> None:
        """LostError; also if it is not there."""
        self._call("operations/deletefile", remote=f"{self._prefix}/{name}")

    def names(self, folder: str = "") -> list[str]:
        """What lies directly below it. LostError."""
        below = f"{self._prefix}/{folder}".rstrip("/")
        wanted = {"noModTime": True, "noMimeType": True}
        found = self._call("operations/list", remote=below, opt=wanted)["list"]
        return [str(one["Name"]) for one in found]

    def interrupt(self) -> None:
        """From any thread: whoever waits for an answer gets LostError."""
        self._rclone.interrupt()

    def close(self) -> None:
        self._rclone.close()
        self._serving.close()

    def _call(self, verb: str, **parameters: object) -> Any:
        body = json.dumps({"fs": self._bucket, **parameters}).encode()
        return json.loads(self._must(self._ask("POST", f"/{verb}", body, "application/json")))

    def _ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
        headers = {"Content-Type": kind} if kind else {}
        with closing(self._serving.connection()) as connection:
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                raise SourceConnectionError(f"the relay bucket: {error}") from error

    def _must(self, answer: tuple[int, bytes]) -> bytes:
        status, body = answer
        if status == http.HTTPStatus.OK:
            return body
        if refusal := self._rclone.refusal:
            raise SourceConnectionError(f"the relay bucket: {refusal}")
        raise SourceConnectionError(f"the relay bucket: {_words(body) or f'HTTP status {status}'}")


def _form(name: str, data: bytes) -> tuple[str, bytes]:
    """Kind and body of a form with one file in it (RFC 7578)."""
    edge = secrets.token_hex(16)
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return f"multipart/form-data; boundary={edge}", b"".join(
        [head.encode(), data, f"\r\n--{edge}--\r\n".encode()]
    )


def _forbids(body: bytes) -> bool:
    return any(
        word in body for word in (b"Forbidden", b"AccessDenied", b"status code: 403", b"StatusCode: 403")
    )


def _words(body: bytes) -> str:
    """The first line of rclone's error."""
    try:
        said = json.loads(body).get("error", "")
    except (ValueError, AttributeError):
        said = body.decode("utf-8", "replace")
    return str(said).strip().partition("\n")[0][:300]


def delete_objects(bucket: RelayBucket) -> None:
    """Remove what the hop has left. LostError."""
    for folder in bucket.names():
        for name in bucket.names(folder):
            bucket.remove(f"{folder}/{name}")
