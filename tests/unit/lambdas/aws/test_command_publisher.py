"""Commands are signed in KMS, verify with the published key, and are valid for one agent."""

import json
from datetime import timedelta

import jwt
import pytest
from botocore.exceptions import ClientError

from events.commands import Browse, Claims, CommandEnvelope, Pause
from events.topics import Topics
from lambdas.aws.command_publisher import CommandPublisher
from lambdas.aws.signing_key import raw_signature
from tests.support.fakes import FakeClock
from tests.support.fakes_aws import FakeBroker, FakeKms

PAUSE = Pause(transfer_id="x" * 20, hop_id=f"{'x' * 20}-0", attempt=2)


@pytest.fixture
def broker():
    return FakeBroker()


@pytest.fixture
def kms():
    return FakeKms()


@pytest.fixture
def publisher(broker, kms):
    return a_fleet(kms, broker)


def a_fleet(kms: FakeKms, broker: FakeBroker) -> CommandPublisher:
    now, following = (
        kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        for _ in range(2)
    )
    return CommandPublisher(
        kms=kms, broker=broker, keys=(now, following), topics=Topics("test"), clock=FakeClock()
    )  # type: ignore[arg-type]


def opened(publisher: CommandPublisher, token: str, audience: str) -> Claims:
    key, following = publisher.verification_keys()
    assert (key["kid"], following["kid"]) == publisher.key_ids
    assert jwt.get_unverified_header(token)["kid"] == key["kid"] != following["kid"]
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, jwt.PyJWK(key), ["ES256"], audience=audience, options=options)
    return Claims.model_validate(claims)


def test_a_command_is_published_to_its_agent_alone(publisher, broker):
    publisher.send_command("server-b", PAUSE)
    (message,) = broker.published
    assert (message["topic"], message["qos"]) == ("crosshaul/test/agents/crosshaul:test:server-b/commands", 1)
    claims = opened(publisher, CommandEnvelope.model_validate_json(message["payload"]).token, "server-b")
    assert claims.command == PAUSE
    assert claims.exp - claims.iat == 600


def test_it_verifies_whatever_the_length_of_its_numbers(publisher):
    """About one signature in 128 has an r or an s that is shorter than 32 bytes."""
    tokens = [publisher.sign("server-b", PAUSE, timedelta(hours=24)) for _ in range(300)]
    assert len({opened(publisher, token, "server-b").jti for token in tokens}) == 300


def test_a_command_is_rejected_by_another_agent(publisher):
    with pytest.raises(jwt.InvalidAudienceError):
        opened(publisher, publisher.sign("server-b", PAUSE), "server-c")


def test_a_changed_command_does_not_verify(publisher):
    header, _, signature = publisher.sign("server-b", PAUSE).split(".")
    forged = jwt.utils.base64url_encode(json.dumps({"aud": "server-b"}).encode()).decode()
    with pytest.raises(jwt.InvalidSignatureError):
        opened(publisher, f"{header}.{forged}.{signature}", "server-b")


def test_kms_signs_digests_since_it_takes_no_long_messages(publisher, kms):
    """Most commands exceed the 4,096 bytes that KMS accepts of an undigested message."""
    look = Browse(request_id="1", path="/" + "ü" * 2000)
    assert opened(publisher, publisher.sign("server-b", look), "server-b").command == look
    assert kms.signed == [32]


@pytest.mark.parametrize(
    ("message", "kind"), [(4097, "RAW"), (31, "DIGEST"), (33, "DIGEST"), (4097, "DIGEST")]
)
def test_the_stand_in_for_kms_refuses_what_kms_refuses(kms, message, kind):
    arn = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError, match="ValidationException"):
        kms.sign(KeyId=arn, Message=b"x" * message, MessageType=kind, SigningAlgorithm="ECDSA_SHA_256")


def test_short_numbers_are_filled_up_and_signs_are_dropped():
    der = bytes.fromhex("3026022100" + "ff" * 32 + "020107")
    assert raw_signature(der) == b"\xff" * 32 + b"\x07".rjust(32, b"\0")


def test_a_connection_is_cut_with_what_the_broker_kept_for_it(publisher, broker):
    publisher.cut("server-b")
    assert broker.cut == [{"clientId": "crosshaul:test:server-b", "cleanSession": True}]


@pytest.mark.parametrize(
    ("refusal", "logged"), [("ResourceNotFoundException", False), ("ThrottlingException", True)]
)
def test_only_a_broker_that_will_not_is_logged(publisher, broker, caplog, refusal, logged):
    broker.refuses = refusal
    publisher.cut("server-b")
    assert ("connection not cut" in caplog.text) is logged


def test_the_public_halves_are_fetched_once(publisher, kms, monkeypatch):
    """KMS allows few such calls a second, and each install command and each key check asks for them."""
    first = publisher.verification_keys()
    monkeypatch.setattr(kms, "get_public_key", lambda **_: pytest.fail("asked again"))
    assert publisher.verification_keys() == first
