"""Settings round-trip through environment variables, and wiring builds the use cases from them."""

import subprocess
import sys
from dataclasses import replace

import pytest

from lambdas import adapters
from lambdas.settings import Settings
from lambdas.store.base import connection
from tests.support.waiting import HANG_TIMEOUT_S

SETTINGS = Settings(
    stage="test",
    region="eu-central-1",
    version="0.1.0",
    transfers_table="t",
    agents_table="a",
    updates_table="g",
    releases_table="r",
    templates_table="p",
    policies_table="c",
    audit_table="u",
    dedupe_table="d",
    idempotency_table="i",
    refusals_table="r",
    bus_name="bus",
    mqtt_port=4711,
)


def test_what_is_written_is_read():
    env = SETTINGS.as_env()
    assert env["CROSSHAUL_TRANSFERS_TABLE"] == "t"
    assert "CROSSHAUL_MQTT_CA" not in env
    assert Settings.from_env({**env, "PATH": "/bin"}) == SETTINGS
    assert Settings.from_env(replace(SETTINGS, mqtt_port=8883).as_env()).mqtt_port == 8883


def test_a_missing_one_is_named():
    env = SETTINGS.as_env()
    del env["CROSSHAUL_BUS_NAME"]
    with pytest.raises(KeyError, match="CROSSHAUL_BUS_NAME"):
        Settings.from_env(env)


@pytest.mark.parametrize(
    "module", ["on_report", "on_presence", "on_change", "on_retry", "on_schedule", "on_audit"]
)
def test_importing_a_function_does_nothing_and_loads_no_sdk(module):
    loaded = "[name for name in ('boto3', 'pynamodb') if name in sys.modules]"
    program = f"import sys, lambdas.{module}; print({loaded})"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
    assert printed.stderr == ""


def test_the_use_cases_find_what_they_need():
    """Run in a process of its own, since wiring caches what it has built."""
    program = (
        "from lambdas import wiring;"
        "wiring.transfer_service(), wiring.report_handler(), wiring.lease_sweeper(), wiring.agent_service();"
        "assert wiring.stream_handler() is wiring.stream_handler()"
    )
    env = {**SETTINGS.as_env(), "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    subprocess.run([sys.executable, "-c", program], env=env, check=True, timeout=HANG_TIMEOUT_S)


def test_no_call_to_aws_outlasts_what_api_gateway_waits(monkeypatch):
    """A caller whose request hangs in AWS gets a typed answer, not API Gateway's 504 after 29 s."""
    monkeypatch.setattr(adapters, "settings", lambda: SETTINGS)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    clients = [connection.__wrapped__("eu-central-1").client]
    clients += [adapters.client.__wrapped__(name) for name in ("kms", "sts", "iot", "cognito-idp")]
    for client in clients:
        config = client.meta.config
        attempts = config.retries["total_max_attempts"]
        assert (config.connect_timeout + config.read_timeout) * attempts <= 25, client.meta.service_model
