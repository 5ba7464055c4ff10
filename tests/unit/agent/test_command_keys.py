"""The keys that a host trusts, and their replacement: never by an unknown key, never with a gap."""

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


class KeysHost:
    """A host that was registered when the first key signed."""

    def __init__(self, folder):
        self.files, self.config = Files(folder), folder / "agent.toml"
        self.files.registration_file.write_text(a_registration(FIRST).model_dump_json())
        self.now = 0.0
        self.start()

    def start(self) -> None:
        self.command_keys = CommandKeys(
            read_registration(self.files), self.files, self.config, lambda: self.now
        )

    def receive(self, message: bytes) -> None:
        claims, token = self.command_keys.verifier.verify(message)
        if isinstance(claims.command, Trust):
            self.command_keys.replace(claims.command, token)

    def accepts(self, signer: Signer) -> bool:
        try:
            self.receive(signer.envelope(move()))
        except TrustError as refusal:
            return refusal.problem.code != "command-not-trusted"
        return True


@pytest.fixture
def host(tmp_path) -> KeysHost:
    return KeysHost(tmp_path)


def test_each_key_is_announced_before_it_signs(host):
    assert (host.accepts(FIRST), host.accepts(SECOND)) == (True, False)
    host.receive(FIRST.envelope(trust(FIRST, SECOND)))
    assert host.accepts(FIRST)
    host.receive(SECOND.envelope(trust(SECOND, THIRD)))
    assert [host.accepts(one) for one in (FIRST, SECOND, THIRD)] == [False, True, True]


def test_new_keys_are_trusted_after_a_restart(host):
    host.receive(FIRST.envelope(trust(FIRST, SECOND)))
    host.start()
    assert host.accepts(SECOND)
    assert host.files.registration_file.stat().st_mode & 0o777 == 0o600


def test_keys_signed_with_an_unknown_key_are_refused(host):
    foreign_signer = Signer("key-9")
    with pytest.raises(TrustError):
        host.receive(foreign_signer.envelope(trust(foreign_signer)))
    with pytest.raises(TrustError):
        host.receive(Signer("key-1").envelope(trust(foreign_signer)))
    assert (host.accepts(foreign_signer), host.accepts(FIRST)) == (False, True)


def test_an_invalid_key_replaces_nothing(host):
    invalid_key = PublicKey(kid="key-2", x="AA", y="not base64 at all!")
    with pytest.raises(TrustError, match="the new keys cannot be read"):
        host.receive(FIRST.envelope(Trust(keys=(invalid_key,))))
    assert host.accepts(FIRST)


def test_after_a_full_disk_the_saved_keys_are_reported(host, monkeypatch):
    def disk_full(*_):
        raise OSError(28, os.strerror(28))

    assert host.command_keys.changed() == CommandKeySet(("key-1",), None)
    with monkeypatch.context() as patched:
        patched.setattr("agent.identity.registration.atomic_write", disk_full)
        host.receive(FIRST.envelope(trust(FIRST, SECOND)))
    assert host.accepts(SECOND)
    host.now += REPEAT_INTERVAL_S
    assert host.command_keys.changed().own == ("key-1",), (
        "they are lost at the next start, so the control plane sends them again"
    )


def test_keys_are_reported_when_they_change_and_every_hour(host):
    assert (host.command_keys.changed(), host.command_keys.changed()) == (
        CommandKeySet(("key-1",), None),
        None,
    )
    host.receive(FIRST.envelope(trust(FIRST, SECOND)))
    assert (host.command_keys.changed(), host.command_keys.changed()) == (
        CommandKeySet(("key-1", "key-2"), None),
        None,
    )
    host.now += REPEAT_INTERVAL_S
    assert host.command_keys.changed() == CommandKeySet(("key-1", "key-2"), None)


class TestPinnedKeys:
    @pytest.fixture
    def host(self, host):
        pinned_keys.pin(host.config, host.files.folder)
        return host

    def submitted(self, host) -> bytes:
        return (host.files.folder / "update-request").read_bytes()

    def test_the_command_is_submitted_to_the_updater_and_both_are_reported(self, host):
        host.receive(FIRST.envelope(trust(FIRST, SECOND)))
        assert host.command_keys.changed() == CommandKeySet(("key-1", "key-2"), ("key-1",))
        claims, _ = pinned_keys.verifier(host.config).verify(self.submitted(host))
        pinned_keys.pin_others(host.config, claims.command.keys)
        assert pinned_keys.verifier(host.config).keys == ("key-1", "key-2")
        assert host.command_keys.changed() == CommandKeySet(("key-1", "key-2"), ("key-1", "key-2"))

    def test_a_waiting_update_is_not_overwritten(self, host):
        host.command_keys.changed()
        (host.files.folder / "update-request").write_bytes(b"an order")
        host.receive(FIRST.envelope(trust(FIRST, SECOND)))
        assert self.submitted(host) == b"an order"
        host.now += REPEAT_INTERVAL_S
        assert host.command_keys.changed().roots == ("key-1",), "so the control plane sends them again"

    def test_without_pinned_keys_nothing_is_submitted(self, host):
        pinned_keys.pinned(host.config).unlink()
        host.receive(FIRST.envelope(trust(FIRST, SECOND)))
        assert not (host.files.folder / "update-request").exists()
        with pytest.raises(HostError):
            pinned_keys.pin_others(host.config, trust(FIRST).keys)
