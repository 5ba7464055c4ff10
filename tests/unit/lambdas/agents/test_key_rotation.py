"""An agent's keys are replaced: the old ones die only after the new ones have worked."""

from datetime import UTC, datetime, timedelta

import pytest

from events.certificates import fingerprint
from events.reports import Heartbeat
from lambdas import on_report, wiring
from tests.support.control_plane import JWK, csr, hello

NAME = "server-b"


class Host:
    """server-b with its API key, and the certificate that the broker saw it with."""

    def __init__(self, here):
        self.here = here
        self.key = here.join(NAME)["api_key"]
        [self.certificate] = self.certificates()
        self.says_hello()

    def certificates(self) -> dict[str, str]:
        """Those that may be used."""
        arns = self.here.iot().list_thing_principals(thingName=wiring.topics().thing(NAME))["principals"]
        return {arn.rpartition("/")[2]: arn for arn in arns}

    def says_hello(self, certificate: str | None = None, **differently):
        said = on_report.AgentReport(
            agent_id=NAME, report=hello(**differently), principal=certificate or self.certificate
        )
        on_report.apply(said)

    def renews(self, key: str | None = None, **differently):
        body = {"csr": csr(), "certificate": self.certificate, **differently}
        headers = {"X-Agent-Key": key or self.key}
        return self.here.post(f"/agents/{NAME}/certificates", body, role=None, headers=headers)

    def new_certificate(self) -> str:
        [new] = self.certificates().keys() - {self.certificate}
        return new

    def knows(self, key: str) -> bool:
        """404, 409 and the like are for those who are let in."""
        body = {"hop_id": "k3v9q0d7m2x8c5n1b6za-0"}
        headers = {"X-Agent-Key": key}
        answer = self.here.post(f"/agents/{NAME}/credentials", body, role=None, headers=headers)
        return answer.status != 401

    @property
    def view(self):
        return self.here.get(f"/agents/{NAME}").body

    @property
    def told(self):
        return [kind for name, kind in self.here.fleet.kinds() if name == NAME]


@pytest.fixture
def server_b(clock, here):
    return Host(here)


def audited(here):
    return {one["action"] for one in here.get("/audit").body["records"]}


def test_an_administrator_asks_and_the_agent_is_told(here, server_b):
    answer = here.post(f"/agents/{NAME}/rotate")
    assert answer.status == 202
    assert answer.body["rotation_wanted_at"]
    assert server_b.told == ["rotate"]
    assert "agent.rotation-wanted" in audited(here)
    assert here.post(f"/agents/{NAME}/rotate", role="operator", who="otto@example.org").status == 403
    assert here.post("/agents/server-x/rotate").status == 404


def test_an_agent_that_was_away_is_told_when_it_comes(here, server_b):
    wiring.agent_service().disconnected(NAME, datetime.now(UTC), 7)
    here.post(f"/agents/{NAME}/rotate")
    assert server_b.told == []
    server_b.says_hello()
    assert server_b.told == ["rotate"]


def test_the_old_ones_end_when_the_broker_has_seen_the_new_one(here, server_b, clock):
    here.post(f"/agents/{NAME}/rotate")
    got = server_b.renews()
    assert got.status == 201
    new = server_b.new_certificate()
    assert set(server_b.certificates()) == {server_b.certificate, new}
    assert got.body["certificate"].startswith("-----BEGIN CERTIFICATE-----")

    server_b.says_hello()
    assert set(server_b.certificates()) == {server_b.certificate, new}
    assert server_b.knows(server_b.key)

    clock.now += timedelta(minutes=5)
    server_b.says_hello(new)
    assert set(server_b.certificates()) == {new}
    assert not server_b.knows(server_b.key)
    assert server_b.knows(got.body["api_key"])
    assert server_b.view["rotation_wanted_at"] is None
    assert datetime.fromisoformat(server_b.view["certified_at"]) - clock.now < timedelta(seconds=1)
    assert {"agent.rotation-wanted", "agent.renewed", "agent.rotated"} <= audited(here)
    assert got.body["api_key"] not in str(here.get("/audit").body)


def test_a_new_api_key_is_good_beside_the_old_one_until_it_is_used(server_b):
    new = server_b.renews().body["api_key"]
    assert server_b.knows(server_b.key)
    assert server_b.knows(new)
    assert not server_b.knows(server_b.key)
    assert server_b.knows(new)


def test_a_host_that_forgot_the_answer_asks_again(server_b):
    """Killed before it had written the answer down, as often as you like: nothing piles up."""
    for _ in range(4):
        forgotten = server_b.renews()
    assert len(server_b.certificates()) == 3
    assert server_b.knows(server_b.key)
    last = server_b.renews()
    assert not server_b.knows(forgotten.body["api_key"])
    [used] = [one for one in server_b.certificates() if one in _made(last, server_b)]
    server_b.says_hello(used)
    assert set(server_b.certificates()) == {used}


def _made(answer, server_b):
    """The certificate that an answer has, by its PEM."""
    iot = server_b.here.iot()
    pem = answer.body["certificate"]
    return [
        name
        for name in server_b.certificates()
        if iot.describe_certificate(certificateId=name)["certificateDescription"]["certificatePem"] == pem
    ]


def test_a_certificate_in_use_is_never_taken_away_though_its_hello_was_lost(server_b):
    server_b.renews()
    lost = server_b.new_certificate()
    for _ in range(3):
        assert server_b.renews(certificate=lost).status == 201
        assert {lost, server_b.certificate} <= set(server_b.certificates())


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"key": "wrong"}, 401),
        ({"csr": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"}, 422),
        ({"certificate": "not one"}, 422),
    ],
)
def test_nobody_else_and_nothing_else_gets_a_certificate(server_b, change, status):
    assert server_b.renews(**change).status == status
    assert set(server_b.certificates()) == {server_b.certificate}


def test_keys_that_have_become_old_are_replaced_without_being_asked(here, server_b, clock):
    wiring.key_rotation().sweep(clock())
    assert server_b.told == []
    clock.now += timedelta(days=91)
    wiring.key_rotation().sweep(clock())
    wiring.key_rotation().sweep(clock())
    assert server_b.told == ["rotate"]
    clock.now += timedelta(hours=2)
    wiring.key_rotation().sweep(clock())
    assert server_b.told == ["rotate"]
    [wanted] = [one for one in here.get("/audit").body["records"] if one["action"] == "agent.rotation-wanted"]
    assert wanted["who"]["id"] == "crosshaul"


def test_a_removed_agent_takes_both_its_certificates_along(here, server_b):
    server_b.renews()
    here.call("DELETE", f"/agents/{NAME}")
    assert here.iot().list_certificates()["certificates"] == []


def test_a_lane_certificate_that_is_none_stops_no_hop(here, server_b):
    """What an agent says of itself is not trusted to be readable."""
    from lambdas.transfers.dispatcher import _own

    agent = wiring.agent_store().get(NAME)
    assert _own(agent) is None
    with pytest.raises(ValueError, match="start with"):
        fingerprint(agent.lane_certificate)


class TestTheKeysThatSignCommands:
    """Agents know the next one before it signs; `key-1` signs here, and `key-2` will be next."""

    def beats(self, here, trusts, pinned=None):
        beat = Heartbeat(at=datetime.now(UTC), roots=(), trusts=trusts, pinned=pinned)
        on_report.apply(on_report.AgentReport(agent_id=NAME, report=beat))
        return here.fleet.kinds()

    def test_who_knows_both_is_left_alone_and_so_is_who_does_not_say(self, here, server_b):
        here.fleet.kinds()
        assert self.beats(here, None) == []
        assert server_b.view["command_key_status"] is None
        assert self.beats(here, ("key-2", "key-1")) == []
        assert server_b.view["command_key_status"] == "both"
        assert self.beats(here, None) == []
        assert server_b.view["command_key_status"] == "both"

    @pytest.mark.parametrize("trusts", [("key-1",), ("key-0", "key-1"), ("key-1", "key-2", "key-9")])
    def test_who_knows_others_is_told_of_these(self, here, server_b, trusts):
        here.fleet.kinds()
        here.fleet.published = ({**JWK, "kid": "key-1"}, {**JWK, "kid": "key-2"})
        assert self.beats(here, trusts) == [(NAME, "trust")]
        (_, order), *_ = reversed(here.fleet.signed.values())
        assert [key.kid for key in order.keys] == ["key-1", "key-2"]

    def test_it_is_told_again_until_its_updater_knows_them_too(self, here, server_b):
        here.fleet.kinds()
        here.fleet.published = ({**JWK, "kid": "key-1"}, {**JWK, "kid": "key-2"})
        assert self.beats(here, ("key-1", "key-2"), ("key-1",)) == [(NAME, "trust")]
        assert server_b.view["command_key_status"] == "both"
        assert self.beats(here, ("key-1", "key-2"), ("key-2", "key-1")) == []

    def test_who_does_not_obey_the_one_that_signs_would_not_heed_it_and_is_shown(self, here, server_b):
        here.fleet.kinds()
        assert self.beats(here, ("key-0",)) == []
        assert server_b.view["command_key_status"] == "none"
