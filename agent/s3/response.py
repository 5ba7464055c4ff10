"""Read the head of S3's answers.

The standard library parses headers as those of a mail, which takes a fifth of the processor time of a push of
small files.
"""

import http.client
import socket

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of the lines before a body, those of interim answers (1xx) and trailers, too. S3's have some 10 KB,
with 2 KB of metadata."""
MAX_HEADERS = 200


class S3Response(http.client.HTTPResponse):
    """An answer; its body is read as the standard library does."""

    def __init__(self, connection: socket.socket, method: str) -> None:
        super().__init__(connection, method=method)
        self.is_of_head = method == "HEAD"
        self._head_bytes_left = MAX_HEAD_BYTES
        self.fields: dict[str, str] = {}
        """Headers, with names in lower case. Several of one name are joined by commas, as RFC 9110 has it."""

    def begin(self) -> None:
        """Read the status and the headers.

        Raises:
            OSError: the connection broke.
            http.client.HTTPException: this is not HTTP/1.1, or it breaks off.
        """
        version, self.status = self._status_line()
        while 100 <= self.status < 200:
            self._header_lines()
            version, self.status = self._status_line()
        self.code = self.status
        self.version = 10 if version == "HTTP/1.0" else 11
        self.fields = self._header_lines()
        connection = self.fields.get("connection", "").lower()
        self.will_close = "close" in connection or (self.version == 10 and "keep-alive" not in connection)
        self.chunked = self.fields.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = self._body_length()

    def _read_and_discard_trailer(self) -> None:
        """Read the lines after a chunked body; the standard library would read any number of them."""
        self._header_lines()

    def _body_length(self) -> int | None:
        """Return the bytes of the body, None if they are not known before its end."""
        if self.status in {http.client.NO_CONTENT, http.client.NOT_MODIFIED} or self.is_of_head:
            return 0
        text = self.fields.get("content-length", "")
        return int(text) if text.isascii() and text.isdecimal() and not self.chunked else None

    def _status_line(self) -> tuple[str, int]:
        line = self._line()
        version, _, rest = line.partition(" ")
        status = rest.partition(" ")[0]
        is_number = len(status) == 3 and status.isascii() and status.isdecimal()
        if not (version.startswith("HTTP/1.") and is_number):
            raise http.client.BadStatusLine(line)
        return version, int(status)

    def _header_lines(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for _ in range(MAX_HEADERS):
            line = self._line()
            if not line:
                return found
            name, colon, value = line.partition(":")
            if not colon:
                raise http.client.BadStatusLine(line)
            name, value = name.lower(), value.strip(" \t")
            found[name] = f"{found[name]}, {value}" if name in found else value
        raise http.client.HTTPException(f"more than {MAX_HEADERS} headers")

    def _line(self) -> str:
        line = self.fp.readline(self._head_bytes_left)
        self._head_bytes_left -= len(line)
        if not line.endswith(b"\n"):
            raise http.client.BadStatusLine("the headers of an answer broke off")
        return line.rstrip(b"\r\n").decode("latin-1")
