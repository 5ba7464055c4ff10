"""The addresses of a real account, which the embedded cloud replaces by its own: nothing is sent."""

import hashlib
import hmac
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest

from events.topics import Topics
from lambdas import adapters
from lambdas.aws.iot_registry import IotEndpoint, IotRegistry
from lambdas.aws.live_urls import LiveUrls
from tests.support.control_plane import forget
from tests.support.fakes import FakeClock

REGION = "eu-central-1"
BROKER = f"a1b2c3-ats.iot.{REGION}.amazonaws.com"
SECRET, TOKEN = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "token+/=="


class FakeSts:
    def assume_role(self, **_: Any) -> dict[str, Any]:
        key = {"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": SECRET, "SessionToken": TOKEN}
        return {"Credentials": key}


class FakeIot:
    def describe_endpoint(self, *, endpointType: str) -> dict[str, str]:  # noqa: N803
        assert endpointType == "iot:Data-ATS", "the other certificate authority is not trusted by agents"
        return {"endpointAddress": BROKER}


def signature(host: str, path: str, query: list[tuple[str, str]], secret: str) -> str:
    """Return the signature of a presigned GET, by the steps of AWS's documentation.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    named = dict(query)
    canonical = "\n".join(
        ["GET", path, urlencode(sorted(query), quote_via=quote), f"host:{host}", "", "host", EMPTY]
    )
    _, day, region, service, _ = named["X-Amz-Credential"].split("/")
    scope = f"{day}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", named["X-Amz-Date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


EMPTY = hashlib.sha256(b"").hexdigest()


def test_the_console_s_broker_is_iot_core_s_and_its_signature_is_without_the_token() -> None:
    """IoT Core refuses a signature over the token, which every other service requires."""
    live = LiveUrls(
        iot=FakeIot(),  # type: ignore[arg-type]
        sts=FakeSts(),  # type: ignore[arg-type]
        role_arn="arn:aws:iam::123456789012:role/live",
        region=REGION,
        topics=Topics("prod"),
        clock=FakeClock(),
    )
    url = urlsplit(live.changes_url().url)
    assert (url.scheme, url.netloc, url.path) == ("wss", BROKER, "/mqtt")
    *signed, (name, given), token = parse_qsl(url.query)
    assert token == ("X-Amz-Security-Token", TOKEN)
    assert dict(signed)["X-Amz-Credential"].endswith(f"/{REGION}/iotdevicegateway/aws4_request")
    assert (name, given) == ("X-Amz-Signature", signature(BROKER, "/mqtt", signed, SECRET))


def test_agents_connect_to_iot_core_with_the_authorities_of_their_host() -> None:
    registry = IotRegistry(FakeIot(), Topics("prod"), "policy", IotEndpoint("", 8883, None))  # type: ignore[arg-type]
    assert registry.endpoint() == IotEndpoint(BROKER, 8883, None)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield the S3 client of a real stage, which has no endpoint of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    forget()
    monkeypatch.setattr(adapters, "settings", lambda: SimpleNamespace(region=REGION, s3_endpoint=""))
    yield adapters.s3.__wrapped__()
    adapters.client.cache_clear()


def test_objects_are_asked_for_at_their_bucket_s_own_name(s3: Any) -> None:
    """Other addresses are redirected, or belong to another region; the embedded cloud knows paths only."""
    url = urlsplit(s3.generate_presigned_url("get_object", {"Bucket": "media", "Key": "a b/ü.mov"}))
    assert (url.scheme, url.netloc) == ("https", f"media.s3.{REGION}.amazonaws.com")
    assert url.path == "/a%20b/%C3%BC.mov"
