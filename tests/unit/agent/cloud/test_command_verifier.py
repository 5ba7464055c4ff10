"""What the agent accepts: signed, for this agent, now. Everything else is refused with a useful reason."""

import json
import time

import jwt
import pytest
from pydantic import ValidationError

from agent.cloud.command_verifier import MAX_CLOCK_SKEW_S, MAX_MESSAGE_BYTES, CommandVerifier, TrustError
from events.commands import CommandEnvelope
from events.options import Options
from tests.support.fakes_agent import AGENT, Signer, move

SIGNER = Signer()


def verifier(**options) -> CommandVerifier:
    return CommandVerifier(AGENT, [SIGNER.jwk], **options)


def refusal(message: bytes, **options) -> TrustError:
    with pytest.raises(TrustError) as caught:
        verifier(**options).verify(message)
    return caught.value


def test_a_signed_command_is_read():
    claims, token = verifier().verify(SIGNER.envelope(move()))
    assert claims.command == move()
    assert token.count(".") == 2


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"token": 7}',
        CommandEnvelope(token="x.y").model_dump_json().encode(),
    ],
)
def test_a_message_that_is_not_a_command_is_malformed(message):
    assert refusal(message).problem.code == "command-malformed"


def test_a_message_that_is_too_large_is_not_parsed():
    assert refusal(b" " * (MAX_MESSAGE_BYTES + 1)).problem.code == "command-too-large"


def test_a_newer_wire_asks_for_an_update():
    message = json.dumps({"wire": 2, "token": "x"}).encode()
    assert "update the agent" in refusal(message).problem.advice


def test_an_unknown_command_is_refused_with_its_id():
    found = refusal(SIGNER.envelope({"kind": "dance"}, jti="j-9"))
    assert (found.problem.code, found.command_id) == ("command-malformed", "j-9")


def test_options_of_a_newer_control_plane_are_ignored_and_logged(caplog):
    command = move().model_dump(mode="json")
    window = {"start": "08:00:00", "end": "18:00:00", "limit": 1024, "holidays": "Bavaria"}
    command["options"] |= {"verify": "reread", "compress": "zstd", "bandwidth_windows": [window]}

    claims, _ = verifier().verify(SIGNER.envelope(command))

    assert claims.command.options.verify == "reread"
    assert claims.command.options.bandwidth_windows[0].limit == 1024
    [record] = caplog.records
    assert record.message == "unknown options ignored"
    assert record.options == "compress, bandwidth_windows.holidays"


def test_an_unknown_value_of_a_known_option_is_refused():
    """Without its value, a known option would silently do something else."""
    command = move().model_dump(mode="json")
    command["options"]["verify"] = "thrice"
    assert refusal(SIGNER.envelope(command)).problem.code == "command-malformed"


def test_an_unknown_option_in_a_request_is_refused():
    with pytest.raises(ValidationError):
        Options.model_validate({"compress": "zstd"})


def test_another_key_under_a_known_name_is_not_trusted():
    assert refusal(Signer().envelope(move())).problem.code == "command-not-trusted"


def test_an_unknown_key_is_not_trusted():
    assert "unknown key other" in refusal(Signer("other").envelope(move())).problem.message


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
def test_only_es256_is_accepted(algorithm):
    key = "a-secret-of-at-least-thirty-two-bytes!" if algorithm == "HS256" else None
    token = jwt.encode({"aud": AGENT}, key, algorithm=algorithm, headers={"kid": SIGNER.kid})
    found = refusal(CommandEnvelope(token=token).model_dump_json().encode())
    assert found.problem.code == "command-not-trusted"


def test_a_changed_token_is_not_trusted():
    head, body, signature = SIGNER.token(move()).split(".")
    other = SIGNER.token(move(1)).split(".")[1]
    found = refusal(CommandEnvelope(token=f"{head}.{other}.{signature}").model_dump_json().encode())
    assert body != other
    assert found.problem.code == "command-not-trusted"


@pytest.mark.parametrize("audience", ["server-c", ["server-b", "server-c"], "SERVER-B"])
def test_a_command_for_another_agent_is_refused(audience):
    assert refusal(SIGNER.envelope(move(), aud=audience)).problem.code == "command-misdelivered"


def test_another_issuer_is_not_trusted():
    assert refusal(SIGNER.envelope(move(), iss="somebody")).problem.code == "command-not-trusted"


def test_small_clock_differences_are_tolerated():
    now = time.time()
    message = SIGNER.envelope(move(), iat=int(now), exp=int(now) + 10)
    verifier(clock=lambda: now + 10 + MAX_CLOCK_SKEW_S - 2).verify(message)
    verifier(clock=lambda: now - MAX_CLOCK_SKEW_S + 2).verify(message)


def test_the_refusal_of_an_expired_command_names_both_clocks():
    found = refusal(SIGNER.envelope(move(), exp=1_700_000_000, jti="old"))
    assert (found.problem.code, found.command_id) == ("command-expired", "old")
    assert found.hop_id == move().hop_id
    assert "2023-11-14T22:13:20Z" in found.problem.message
    assert "clock" in found.problem.advice


def test_the_refusal_of_a_command_from_the_future_names_the_skew():
    now = int(time.time())
    found = refusal(SIGNER.envelope(move(), iat=now + 600, exp=now + 900))
    assert found.problem.code == "clock-skew"
    assert "it is 600 s behind" in found.problem.message or "it is 599 s behind" in found.problem.message
