"""Key rotation: the old keys are revoked only after the new ones have worked."""

from datetime import UTC, datetime, timedelta

import pytest

from events.certificates import fingerprint
from events.reports import Heartbeat
from lambdas import adapters, on_report, wiring
from tests.support.control_plane import JWK, csr, hello

NAME = "server-b"


class RotatedHost:
    """The host of server-b, with its API key and its current certificate."""

    def __init__(self, here):
        self.here = here
        self.key = here.join(NAME)["api_key"]
        [self.certificate] = self.certificates()
        self.send_hello()

    def certificates(self) -> dict[str, str]:
        """Return the ARN of each valid certificate, by id."""
        arns = self.here.iot().list_thing_principals(thingName=adapters.topics().thing(NAME))["principals"]
        return {arn.rpartition("/")[2]: arn for arn in arns}

    def send_hello(self, certificate: str | None = None, **changes):
        report = on_report.AgentReport(
            agent_id=NAME, report=hello(**changes), principal=certificate or self.certificate
        )
        on_report.apply(report)

    def renew(self, key: str | None = None, **changes):
        body = {"csr": csr(), "certificate": self.certificate, **changes}
        headers = {"X-Agent-Key": key or self.key}
        return self.here.post(f"/agents/{NAME}/certificates", body, role=None, headers=headers)

    def new_certificate(self) -> str:
        [new] = self.certificates().keys() - {self.certificate}
        return new

    def accepts(self, key: str) -> bool:
        """Return whether the key authenticates; 404 or 409 comes after that."""
        body = {"hop_id": "k3v9q0d7m2x8c5n1b6za-0"}
        headers = {"X-Agent-Key": key}
        answer = self.here.post(f"/agents/{NAME}/credentials", body, role=None, headers=headers)
        return answer.status != 401

    @property
    def view(self):
        return self.here.get(f"/agents/{NAME}").body

    @property
    def command_kinds(self):
        return [kind for name, kind in self.here.fleet.kinds() if name == NAME]


@pytest.fixture
def agent(clock, here):
    return RotatedHost(here)


def audited(here):
    return {one["action"] for one in here.get("/audit").body["records"]}


def test_an_administrator_asks_and_the_agent_is_told(here, agent):
    answer = here.post(f"/agents/{NAME}/rotate")
    assert answer.status == 202
    assert answer.body["rotation_wanted_at"]
    assert agent.command_kinds == ["rotate"]
    assert "agent.rotation-wanted" in audited(here)
    assert here.post(f"/agents/{NAME}/rotate", role="operator", who="otto@example.org").status == 403
    assert here.post("/agents/server-x/rotate").status == 404


def test_an_agent_that_was_away_is_told_when_it_comes(here, agent):
    wiring.agent_service().disconnected(NAME, datetime.now(UTC), 7)
    here.post(f"/agents/{NAME}/rotate")
    assert agent.command_kinds == []
    agent.send_hello()
    assert agent.command_kinds == ["rotate"]


def test_the_old_ones_end_when_the_broker_has_seen_the_new_one(here, agent, clock):
    here.post(f"/agents/{NAME}/rotate")
    got = agent.renew()
    assert got.status == 201
    new = agent.new_certificate()
    assert set(agent.certificates()) == {agent.certificate, new}
    assert got.body["certificate"].startswith("-----BEGIN CERTIFICATE-----")

    agent.send_hello()
    assert set(agent.certificates()) == {agent.certificate, new}
    assert agent.accepts(agent.key)

    clock.now += timedelta(minutes=5)
    agent.send_hello(new)
    assert set(agent.certificates()) == {new}
    assert not agent.accepts(agent.key)
    assert agent.accepts(got.body["api_key"])
    assert agent.view["rotation_wanted_at"] is None
    assert datetime.fromisoformat(agent.view["certified_at"]) - clock.now < timedelta(seconds=1)
    assert {"agent.rotation-wanted", "agent.renewed", "agent.rotated"} <= audited(here)
    assert got.body["api_key"] not in str(here.get("/audit").body)


def test_a_new_api_key_is_good_beside_the_old_one_until_it_is_used(agent):
    new = agent.renew().body["api_key"]
    assert agent.accepts(agent.key)
    assert agent.accepts(new)
    assert not agent.accepts(agent.key)
    assert agent.accepts(new)


def test_a_host_that_forgot_the_answer_asks_again(agent):
    """A host that is killed before it has stored the answer may retry: nothing accumulates."""
    for _ in range(4):
        forgotten = agent.renew()
    assert len(agent.certificates()) == 3
    assert agent.accepts(agent.key)
    last = agent.renew()
    assert not agent.accepts(forgotten.body["api_key"])
    [used] = [one for one in agent.certificates() if one in _certificates_in(last, agent)]
    agent.send_hello(used)
    assert set(agent.certificates()) == {used}


def _certificates_in(answer, agent):
    """Return the ids of the certificates with the PEM of this answer."""
    iot = agent.here.iot()
    pem = answer.body["certificate"]
    return [
        name
        for name in agent.certificates()
        if iot.describe_certificate(certificateId=name)["certificateDescription"]["certificatePem"] == pem
    ]


def test_a_certificate_in_use_is_never_taken_away_though_its_hello_was_lost(agent):
    agent.renew()
    lost = agent.new_certificate()
    for _ in range(3):
        assert agent.renew(certificate=lost).status == 201
        assert {lost, agent.certificate} <= set(agent.certificates())


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"key": "wrong"}, 401),
        ({"csr": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"}, 422),
        ({"certificate": "not one"}, 422),
    ],
)
def test_nobody_else_and_nothing_else_gets_a_certificate(agent, change, status):
    assert agent.renew(**change).status == status
    assert set(agent.certificates()) == {agent.certificate}


def test_keys_that_have_become_old_are_replaced_without_being_asked(here, agent, clock):
    wiring.key_rotation().rotate_aging_keys(clock())
    assert agent.command_kinds == []
    clock.now += timedelta(days=91)
    wiring.key_rotation().rotate_aging_keys(clock())
    wiring.key_rotation().rotate_aging_keys(clock())
    assert agent.command_kinds == ["rotate"]
    clock.now += timedelta(hours=2)
    wiring.key_rotation().rotate_aging_keys(clock())
    assert agent.command_kinds == ["rotate"]
    [wanted] = [one for one in here.get("/audit").body["records"] if one["action"] == "agent.rotation-wanted"]
    assert wanted["who"]["id"] == "crosshaul"


def test_a_removed_agent_takes_both_its_certificates_along(here, agent):
    agent.renew()
    here.call("DELETE", f"/agents/{NAME}")
    assert here.iot().list_certificates()["certificates"] == []


def test_a_lane_certificate_that_is_none_stops_no_hop(here, agent):
    """What an agent reports about itself may be unreadable."""
    from lambdas.transfers.dispatcher import _own

    agent = adapters.agent_store().get(NAME)
    assert _own(agent) is None
    with pytest.raises(ValueError, match="start with"):
        fingerprint(agent.lane_certificate)


class TestTheKeysThatSignCommands:
    """Agents trust the next key before it signs; here `key-1` signs, and `key-2` is next."""

    def heartbeat(self, here, trusts, pinned=None):
        report = Heartbeat(at=datetime.now(UTC), roots=(), trusts=trusts, pinned=pinned)
        on_report.apply(on_report.AgentReport(agent_id=NAME, report=report))
        return here.fleet.kinds()

    def test_who_knows_both_is_left_alone_and_so_is_who_does_not_say(self, here, agent):
        here.fleet.kinds()
        assert self.heartbeat(here, None) == []
        assert agent.view["command_key_status"] is None
        assert self.heartbeat(here, ("key-2", "key-1")) == []
        assert agent.view["command_key_status"] == "both"
        assert self.heartbeat(here, None) == []
        assert agent.view["command_key_status"] == "both"

    @pytest.mark.parametrize("trusts", [("key-1",), ("key-0", "key-1"), ("key-1", "key-2", "key-9")])
    def test_who_knows_others_is_told_of_these(self, here, agent, trusts):
        here.fleet.kinds()
        here.fleet.published = ({**JWK, "kid": "key-1"}, {**JWK, "kid": "key-2"})
        assert self.heartbeat(here, trusts) == [(NAME, "trust")]
        (_, command), *_ = reversed(here.fleet.signed.values())
        assert [key.kid for key in command.keys] == ["key-1", "key-2"]

    def test_it_is_told_again_until_its_updater_knows_them_too(self, here, agent):
        here.fleet.kinds()
        here.fleet.published = ({**JWK, "kid": "key-1"}, {**JWK, "kid": "key-2"})
        assert self.heartbeat(here, ("key-1", "key-2"), ("key-1",)) == [(NAME, "trust")]
        assert agent.view["command_key_status"] == "both"
        assert self.heartbeat(here, ("key-1", "key-2"), ("key-2", "key-1")) == []

    def test_who_does_not_obey_the_one_that_signs_would_not_heed_it_and_is_shown(self, here, agent):
        here.fleet.kinds()
        assert self.heartbeat(here, ("key-0",)) == []
        assert agent.view["command_key_status"] == "none"
