"""Find and abort the multipart uploads of a hop that its ledger does not know.

They are of an attempt whose ledger was lost, or that was killed between S3's answer and its record. S3 tells
for each upload which session began it. The session of a hop's credentials bears the hop's id
(`lambdas/transfers/s3_credentials.py`), which nobody else's does: so an upload of that session is this hop's.
"""

import logging
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_plus

from agent.s3.answers import PageMarks, root_of, text_in
from agent.s3.client import S3Client
from agent.s3.errors import ConnectionLostError

log = logging.getLogger(__name__)


class UnfinishedUpload(NamedTuple):
    """A multipart upload that S3 has neither completed nor aborted."""

    key: str
    upload_id: str
    initiator: str
    """The ARN of who began it."""

    def is_of(self, session: str) -> bool:
        return self.initiator.endswith(f"/{session}")


def unfinished_uploads(client: S3Client, prefix: str) -> Iterator[UnfinishedUpload]:
    """Yield all uploads of keys that begin with the prefix.

    Raises:
        S3Error, ConnectionLostError: S3 refuses to list them, or does not answer as S3.
    """
    query = {"uploads": "", "prefix": prefix, "encoding-type": "url"}
    marks = PageMarks()
    while True:
        body = client.request("GET", "", query=query).body
        page = root_of(body, "ListMultipartUploadsResult")
        for found in page.iterfind("{*}Upload"):
            yield UnfinishedUpload(
                unquote_plus(text_in(found, "Key")),
                text_in(found, "UploadId"),
                text_in(found, "Initiator/ID"),
            )
        if text_in(page, "IsTruncated") != "true":
            return
        query["key-marker"] = unquote_plus(text_in(page, "NextKeyMarker"))
        query["upload-id-marker"] = text_in(page, "NextUploadIdMarker")
        if not query["key-marker"]:
            raise ConnectionLostError("not a list of S3: it does not say where it goes on")
        marks.note((query["key-marker"], query["upload-id-marker"]))


def session_of(agent_id: str, hop_id: str) -> str:
    """Return the name of the session of a hop's credentials, as the control plane chooses it."""
    return f"{agent_id[:40]}-{hop_id[-23:]}"
