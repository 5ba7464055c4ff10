"""Test that requests are signed as AWS's own SDK signs them, whatever a key has in it."""

from datetime import UTC, datetime, timedelta

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st

from agent.s3.signing import encode_path, encode_query, signed_headers
from events.views import CredentialsView

CREDENTIALS = CredentialsView(
    access_key_id="AKIDEXAMPLE",
    secret_access_key="secret",
    session_token="token",
    expires_at=datetime.now(UTC) + timedelta(hours=1),
    region="eu-central-1",
    endpoint=None,
)
HOST = "media.s3.eu-central-1.amazonaws.com"
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(key=keys, query=st.dictionaries(st.sampled_from(["prefix", "uploadId", "list-type"]), keys))
@example(key="/lead//a/./b/../c", query={})
@example(key="Köln\u201b\n\r\t +%2F~名", query={"prefix": "a b+c/&="})
def test_a_request_is_signed_as_botocore_signs_it(key, query):
    path, encoded = encode_path(f"/{key}"), encode_query(query)
    headers = {"host": HOST, "x-amz-meta-mtime": " 1.5  x ", "range": "bytes=0-4"}
    ours = signed_headers(CREDENTIALS, "eu-central-1", "GET", (path, encoded), headers)

    request = AWSRequest("GET", f"https://{HOST}{path}{'?' if encoded else ''}{encoded}", headers)
    request.headers["X-Amz-Content-SHA256"] = ours["x-amz-content-sha256"]
    request.headers["X-Amz-Date"] = request.context["timestamp"] = ours["x-amz-date"]
    request.headers["X-Amz-Security-Token"] = CREDENTIALS.session_token
    signer = S3SigV4Auth(
        Credentials(CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key, CREDENTIALS.session_token),
        "s3",
        "eu-central-1",
    )
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert ours["authorization"].endswith(f"Signature={signer.signature(text, request)}")
