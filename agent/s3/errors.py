"""What S3 answers instead of success, and what that means for a hop."""

import re
from typing import NamedTuple
from xml.etree import ElementTree

from agent import problems
from events.base import Problem
from events.problem_type import ProblemType

MAX_REASON_CHARS = 300
_ERROR_BEGINS = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<Error[\s>]")
"""S3 sends blanks, before or after the declaration, for as long as the work takes."""
_CREDENTIALS_REFUSED = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "TokenRefreshRequired"}
_BUCKET_REFUSED = {
    "AccountProblem",
    "AllAccessDisabled",
    "InvalidBucketName",
    "NotSignedUp",
    "OptInRequired",
    "UserSuspended",
}
_RETRIED_CODES = {"SlowDown", "InternalError", "RequestTimeout", "ServiceUnavailable", "ThrottlingException"}
_RETRIED_STATUSES = {429, 500, 502, 503, 504}
_BY_CODE: dict[str, ProblemType] = {
    "InvalidObjectState": problems.S3_ARCHIVED,
    "InvalidStorageClass": problems.S3_OPTION_REFUSED,
    "InvalidTag": problems.S3_OPTION_REFUSED,
    "RequestTimeTooSkewed": problems.S3_CLOCK_SKEW,
    "AccessDenied": problems.S3_DENIED,
    "SignatureDoesNotMatch": problems.S3_DENIED,
    "NoSuchBucket": problems.S3_BUCKET_MISSING,
    "PermanentRedirect": problems.S3_OTHER_REGION,
    "TemporaryRedirect": problems.S3_OTHER_REGION,
    "AuthorizationHeaderMalformed": problems.S3_OTHER_REGION,
    "NoSuchKey": problems.S3_SOURCE_MISSING,
    "NoSuchVersion": problems.S3_SOURCE_MISSING,
    **dict.fromkeys(_BUCKET_REFUSED, problems.S3_BUCKET_REFUSED),
}
_OF_WHOLE_HOP = {
    problems.S3_CREDENTIALS_REFUSED,
    problems.S3_CLOCK_SKEW,
    problems.S3_BUCKET_MISSING,
    problems.S3_BUCKET_REFUSED,
    problems.S3_OTHER_REGION,
}
"""What is wrong with the host, the bucket or the session, never with one object."""
_BY_STATUS: dict[int, ProblemType] = {
    301: problems.S3_OTHER_REGION,
    307: problems.S3_OTHER_REGION,
    400: problems.S3_OBJECT_REFUSED,
    403: problems.S3_DENIED,
    404: problems.S3_SOURCE_MISSING,
    501: problems.S3_OPTION_REFUSED,  # by storage that is not AWS's
}


class ConnectionLostError(Exception):
    """S3 did not answer, or the connection broke within its answer."""

    def problem(self, path: object) -> Problem:
        return problems.S3_FAILED.problem(path=str(path), reason=str(self))


class S3Error(Exception):
    """S3 refused a request.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """

    def __init__(self, status: int, code: str = "", message: str = "", request_id: str = "") -> None:
        """`code` and `message` are S3's own; they are missing in an answer without a body."""
        super().__init__(": ".join(filter(None, (code or f"HTTP status {status}", message))))
        self.status = status
        self.code = code
        self.request_id = request_id

    @property
    def refuses_credentials(self) -> bool:
        """Return whether the credentials are not valid, or not any more."""
        return self.code in _CREDENTIALS_REFUSED

    @property
    def is_transient(self) -> bool:
        """Return whether S3 is likely to answer otherwise in a moment."""
        return self.code in _RETRIED_CODES or self.status in _RETRIED_STATUSES

    @property
    def concerns_whole_hop(self) -> bool:
        """Return whether S3 would refuse every other request of the hop for the same reason."""
        return self._kind in _OF_WHOLE_HOP

    def problem(self, path: object) -> Problem:
        """Return the problem to report; `path` is what the request was about."""
        return self._kind.problem(path=str(path), reason=_first_line(str(self)))

    @property
    def _kind(self) -> ProblemType:
        if self.refuses_credentials:
            return problems.S3_CREDENTIALS_REFUSED
        if self.is_transient:
            return problems.S3_FAILED
        if self.code.startswith("KMS."):
            return problems.S3_OBJECT_REFUSED
        return _BY_CODE.get(self.code) or _BY_STATUS.get(self.status, problems.S3_FAILED)


class _Parts(NamedTuple):
    code: str = ""
    message: str = ""
    request_id: str = ""


def error_of(status: int, body: bytes, request_id: str = "") -> S3Error:
    """Return the error that an answer describes, in XML or not at all."""
    parts = _parse(body)
    return S3Error(status, parts.code, parts.message, request_id or parts.request_id)


def error_in(status: int, body: bytes) -> S3Error | None:
    """Return the error in the body of an answer that had begun as a success, as S3 does for long work."""
    parts = _parse(body) if _ERROR_BEGINS.match(body) else _Parts()
    return S3Error(status, parts.code, parts.message, parts.request_id) if parts.code else None


def _parse(body: bytes) -> _Parts:
    try:
        root = ElementTree.fromstring(body.strip())  # noqa: S314  (expat refuses entities that grow)
    except (ElementTree.ParseError, ValueError):
        return _Parts()
    found = {one.tag.rpartition("}")[2]: (one.text or "").strip() for one in root.iter()}
    return _Parts(found.get("Code", ""), found.get("Message", ""), found.get("RequestId", ""))


def _first_line(text: str) -> str:
    return " ".join(text.split())[:MAX_REASON_CHARS].rstrip(".")
