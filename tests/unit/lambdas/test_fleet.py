"""Commands as agents get them: signed in KMS, verifiable with the published key, for one agent only."""

import json
from datetime import timedelta

import boto3
import jwt
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from events.commands import Claims, Order, Pause
from events.topics import Topics
from lambdas.fleet import Fleet, raw_signature
from tests.fakes import FakeClock

REGION = "eu-central-1"
PAUSE = Pause(transfer_id="x" * 20, hop_id=f"{'x' * 20}-0", attempt=2)


class FakeBroker:
    def __init__(self) -> None:
        self.published: list[dict] = []

        self.cut: list[dict] = []
        self.refuses: str | None = None

    def publish(self, **message) -> None:
        self.published.append(message)

    def delete_connection(self, **which) -> None:
        self.cut.append(which)
        if self.refuses:
            raise ClientError({"Error": {"Code": self.refuses, "Message": "no"}}, "DeleteConnection")


@pytest.fixture
def broker():
    return FakeBroker()


@pytest.fixture
def fleet(broker, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        kms = boto3.client("kms", REGION)
        now, following = (
            kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
            for _ in range(2)
        )
        yield Fleet(kms=kms, broker=broker, keys=(now, following), topics=Topics("test"), clock=FakeClock())


def opened(fleet: Fleet, token: str, audience: str) -> Claims:
    key, following = fleet.verification_keys()
    assert (key["kid"], following["kid"]) == fleet.keys
    assert jwt.get_unverified_header(token)["kid"] == key["kid"] != following["kid"]
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, jwt.PyJWK(key), ["ES256"], audience=audience, options=options)
    return Claims.model_validate(claims)


def test_an_order_is_published_to_its_agent_alone(fleet, broker):
    fleet.order("server-b", PAUSE)
    (message,) = broker.published
    assert (message["topic"], message["qos"]) == ("crosshaul/test/agents/server-b/commands", 1)
    claims = opened(fleet, Order.model_validate_json(message["payload"]).token, "server-b")
    assert claims.command == PAUSE
    assert claims.exp - claims.iat == 600


def test_it_verifies_whatever_the_length_of_its_numbers(fleet):
    """About one signature in 128 has an r or an s that is shorter than 32 bytes."""
    tokens = [fleet.sign("server-b", PAUSE, timedelta(hours=24)) for _ in range(300)]
    assert len({opened(fleet, token, "server-b").jti for token in tokens}) == 300


def test_nobody_else_obeys_it(fleet):
    with pytest.raises(jwt.InvalidAudienceError):
        opened(fleet, fleet.sign("server-b", PAUSE), "server-c")


def test_a_changed_command_does_not_verify(fleet):
    header, _, signature = fleet.sign("server-b", PAUSE).split(".")
    forged = jwt.utils.base64url_encode(json.dumps({"aud": "server-b"}).encode()).decode()
    with pytest.raises(jwt.InvalidSignatureError):
        opened(fleet, f"{header}.{forged}.{signature}", "server-b")


def test_short_numbers_are_filled_up_and_signs_are_dropped():
    der = bytes.fromhex("3026022100" + "ff" * 32 + "020107")
    assert raw_signature(der) == b"\xff" * 32 + b"\x07".rjust(32, b"\0")


def test_a_connection_is_cut_with_what_the_broker_kept_for_it(fleet, broker):
    fleet.cut("server-b")
    assert broker.cut == [{"clientId": "server-b", "cleanSession": True}]


@pytest.mark.parametrize(
    ("refusal", "logged"), [("ResourceNotFoundException", False), ("ThrottlingException", True)]
)
def test_only_a_broker_that_will_not_is_logged(fleet, broker, caplog, refusal, logged):
    broker.refuses = refusal
    fleet.cut("server-b")
    assert ("connection not cut" in caplog.text) is logged
