"""Sign requests to S3: Signature Version 4, with the exceptions that S3 makes.

S3 takes a path as it is: it is encoded once and not normalized, so `//`, `.` and `..` stay parts of a key.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from events.views import CredentialsView

UNSIGNED = "UNSIGNED-PAYLOAD"
"""Stands for the digest of a body that TLS protects."""
EMPTY_DIGEST = sha256(b"").hexdigest()
_UNRESERVED = "-._~"


def encode_path(path: str) -> str:
    """Return a path as it is in the URL, byte by byte in UTF-8."""
    return quote(path, safe=f"/{_UNRESERVED}")


def encode_query(query: Mapping[str, str]) -> str:
    """Return the parameters of a URL, in the order in which they are signed."""
    pairs = sorted(
        (quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in query.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_headers(
    credentials: CredentialsView,
    region: str,
    method: str,
    target: tuple[str, str],
    headers: Mapping[str, str],
) -> dict[str, str]:
    """Return the headers of a request with those that prove who sends it.

    `target` is path and query, both encoded; `headers` has lower-case names, among them `host`. Without
    `x-amz-content-sha256` there is no body.
    """
    now = datetime.now(UTC)
    moment, day = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}"
    found = {
        "x-amz-content-sha256": EMPTY_DIGEST,
        **headers,
        "x-amz-date": moment,
        "x-amz-security-token": credentials.session_token,
    }
    ordered = sorted(found)
    names = ";".join(ordered)
    lines = "".join(f"{name}:{' '.join(found[name].split())}\n" for name in ordered)
    path, query = target
    request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{found['x-amz-content-sha256']}"
    scope = f"{day}/{region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{sha256(request.encode('latin-1')).hexdigest()}"
    signature = hmac.digest(_signing_key(credentials.secret_access_key, day, region), text.encode(), "sha256")
    found["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope},"
        f"SignedHeaders={names},Signature={signature.hex()}"
    )
    return found


@lru_cache(maxsize=16)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
