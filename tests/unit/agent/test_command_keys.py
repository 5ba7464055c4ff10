"""Which keys a host obeys, and how others take their place: never at a stranger's word, never with a gap."""

import os

import pytest

from agent.cloud.command_verifier import TrustError
from agent.command_keys import REPEAT_INTERVAL_S, CommandKeys, CommandKeySet
from agent.errors import HostError
from agent.identity.registration import Files, read_registration
from agent.updating import pinned_keys
from events.commands import PublicKey, Trust
from tests.support.fakes_agent import Signer, a_registration, move, trust

FIRST, SECOND, THIRD = (Signer(f"key-{number}") for number in (1, 2, 3))


class Host:
    """It was registered when the first key signed."""

    def __init__(self, folder):
        self.files, self.config = Files(folder), folder / "agent.toml"
        self.files.record.write_text(a_registration(FIRST).model_dump_json())
        self.now = 0.0
        self.start()

    def start(self) -> None:
        self.trusted = CommandKeys(read_registration(self.files), self.files, self.config, lambda: self.now)

    def hears(self, letter: bytes) -> None:
        claims, token = self.trusted.verifier.verify(letter)
        if isinstance(claims.command, Trust):
            self.trusted.replace(claims.command, token)

    def obeys(self, signer: Signer) -> bool:
        try:
            self.hears(signer.letter(move()))
        except TrustError as refusal:
            return refusal.problem.code != "command-not-trusted"
        return True


@pytest.fixture
def host(tmp_path) -> Host:
    return Host(tmp_path)


def test_keys_follow_each_other_and_each_is_announced_before_it_signs(host):
    assert (host.obeys(FIRST), host.obeys(SECOND)) == (True, False)
    host.hears(FIRST.letter(trust(FIRST, SECOND)))
    assert host.obeys(FIRST)
    host.hears(SECOND.letter(trust(SECOND, THIRD)))
    assert [host.obeys(one) for one in (FIRST, SECOND, THIRD)] == [False, True, True]


def test_they_are_obeyed_after_a_start_as_well(host):
    host.hears(FIRST.letter(trust(FIRST, SECOND)))
    host.start()
    assert host.obeys(SECOND)
    assert host.files.record.stat().st_mode & 0o777 == 0o600


def test_a_stranger_brings_no_keys_of_their_own(host):
    stranger = Signer("key-9")
    with pytest.raises(TrustError):
        host.hears(stranger.letter(trust(stranger)))
    with pytest.raises(TrustError):
        host.hears(Signer("key-1").letter(trust(stranger)))
    assert (host.obeys(stranger), host.obeys(FIRST)) == (False, True)


def test_what_is_no_key_takes_the_place_of_none(host):
    odd = PublicKey(kid="key-2", x="AA", y="not base64 at all!")
    with pytest.raises(TrustError, match="keys that are none"):
        host.hears(FIRST.letter(Trust(keys=(odd,))))
    assert host.obeys(FIRST)


def test_a_full_disk_costs_nothing_but_another_hour(host, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    assert host.trusted.news() == CommandKeySet(("key-1",), None)
    with monkeypatch.context() as patch:
        patch.setattr("agent.command_keys.atomic_write", full)
        host.hears(FIRST.letter(trust(FIRST, SECOND)))
    assert host.obeys(SECOND)
    host.now += REPEAT_INTERVAL_S
    assert host.trusted.news().own == ("key-1",), (
        "they are not known after the next start, so they come again"
    )


def test_it_is_said_at_once_when_they_change_and_else_each_hour(host):
    assert (host.trusted.news(), host.trusted.news()) == (CommandKeySet(("key-1",), None), None)
    host.hears(FIRST.letter(trust(FIRST, SECOND)))
    assert (host.trusted.news(), host.trusted.news()) == (CommandKeySet(("key-1", "key-2"), None), None)
    host.now += REPEAT_INTERVAL_S
    assert host.trusted.news() == CommandKeySet(("key-1", "key-2"), None)


class TestWhereRootHasKeysOfItsOwn:
    @pytest.fixture
    def host(self, host):
        pinned_keys.pin(host.config, host.files.folder)
        return host

    def shown(self, host) -> bytes:
        return (host.files.folder / "update-request").read_bytes()

    def test_the_letter_is_shown_to_it_and_both_are_told_of(self, host):
        host.hears(FIRST.letter(trust(FIRST, SECOND)))
        assert host.trusted.news() == CommandKeySet(("key-1", "key-2"), ("key-1",))
        claims, _ = pinned_keys.verifier(host.config).verify(self.shown(host))
        pinned_keys.pin_others(host.config, claims.command.keys)
        assert pinned_keys.verifier(host.config).keys == ("key-1", "key-2")
        assert host.trusted.news() == CommandKeySet(("key-1", "key-2"), ("key-1", "key-2"))

    def test_an_update_that_waits_goes_first(self, host):
        host.trusted.news()
        (host.files.folder / "update-request").write_bytes(b"an order")
        host.hears(FIRST.letter(trust(FIRST, SECOND)))
        assert self.shown(host) == b"an order"
        host.now += REPEAT_INTERVAL_S
        assert host.trusted.news().roots == ("key-1",), "so they are told once more"

    def test_root_bothers_nobody_who_has_pinned_nothing(self, host):
        pinned_keys.pinned(host.config).unlink()
        host.hears(FIRST.letter(trust(FIRST, SECOND)))
        assert not (host.files.folder / "update-request").exists()
        with pytest.raises(HostError):
            pinned_keys.pin_others(host.config, trust(FIRST).keys)
