"""Open consoles are notified of changed transfers, and can receive nothing else."""

import json
import socket
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from events.progress import ChangeNotice
from events.topics import Topics
from lambdas import adapters
from lambdas.aws.change_notifier import IotChangeNotifier
from lambdas.aws.live_urls import LiveUrls
from tests.support.fakes import ADA, FakeClock
from tests.support.fakes_aws import FakeBroker
from tests.support.world import REGION, ControlPlaneFixture

TRANSFER = "abcdefghij0123456789"
TOPICS = Topics("prod")


def test_every_line_of_a_timeline_is_announced(world: ControlPlaneFixture):
    one, other = (world.request("a:/data/", f"{name}:/archive/") for name in "bc")
    world.stream()
    assert set(world.notifier.announced) == {one, other}
    world.notifier.announced.clear()
    world.transfer_service.pause(one, ADA)
    world.stream()
    assert set(world.notifier.announced) == {one}


def test_a_change_notice_has_the_transfer_id_and_no_more():
    broker = FakeBroker()
    IotChangeNotifier(lambda: broker, TOPICS, FakeClock()).announce(TRANSFER)
    (message,) = broker.published
    assert (message["topic"], message["qos"]) == (f"crosshaul/prod/changes/{TRANSFER}", 0)
    assert ChangeNotice.model_validate_json(message["payload"]) == ChangeNotice(transfer_id=TRANSFER)
    assert json.loads(message["payload"]) == {"transfer_id": TRANSFER}


def test_nothing_fails_when_consoles_cannot_be_notified():
    broker = FakeBroker()
    broker.away = True
    IotChangeNotifier(lambda: broker, TOPICS, FakeClock()).announce(TRANSFER)


@pytest.mark.timeout(240)  # an SDK that is not told to gives up after five times 60 s
def test_a_broker_that_takes_the_word_and_never_answers_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        monkeypatch.setattr(adapters, "settings", lambda: SimpleNamespace(region=REGION))
        IotChangeNotifier(adapters.low_latency_broker.__wrapped__, TOPICS, FakeClock()).announce(TRANSFER)
    assert "consoles not notified of a change" in caplog.text


@pytest.mark.parametrize(
    ("request_url", "topic", "receive_topic"),
    [
        (lambda live: live.changes_url(), "crosshaul/prod/changes/+", "crosshaul/prod/changes/*"),
        (
            lambda live: live.progress_url(None),
            "crosshaul/prod/agents/+/live/+/+",
            "crosshaul/prod/agents/*/live/*/*",
        ),
        (
            lambda live: live.progress_url(TRANSFER),
            f"crosshaul/prod/agents/+/live/{TRANSFER}/+",
            f"crosshaul/prod/agents/*/live/{TRANSFER}/*",
        ),
    ],
)
def test_an_address_lets_its_holder_hear_what_it_is_for_and_say_nothing(request_url, topic, receive_topic):
    class NarrowingSts:
        def assume_role(self, **arguments: Any) -> Any:
            self.policy = json.loads(arguments["Policy"])
            key = {"AccessKeyId": "AKIA", "SecretAccessKey": "s", "SessionToken": "t"}
            return {"Credentials": key}

    sts = NarrowingSts()
    iot = boto3.client("iot", REGION, aws_access_key_id="x", aws_secret_access_key="x")
    role = "arn:aws:iam::123456789012:role/live"
    live = LiveUrls(iot=iot, sts=sts, role_arn=role, region=REGION, topics=TOPICS, clock=FakeClock())
    live._host = "iot.example.com"

    view = request_url(live)

    assert view.topics == (topic,)
    arn = f"arn:aws:iot:{REGION}:123456789012"
    allowed = {one["Action"]: one["Resource"] for one in sts.policy["Statement"]}
    assert allowed == {
        "iot:Connect": f"{arn}:client/{view.client_id}",
        "iot:Subscribe": f"{arn}:topicfilter/{topic}",
        "iot:Receive": f"{arn}:topic/{receive_topic}",
    }
