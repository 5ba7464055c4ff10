"""The updater, run by root: what it accepts, and that a running agent is left after any interruption."""

import os
import time

import jwt
import pytest

from agent.errors import HostError
from agent.problems import UPDATE_OLDER, UPDATE_UNHEALTHY, UPDATE_UNITS_NOT_USED
from agent.updating.units import AGENT_UNIT, UPDATER_UNITS
from events.commands import Rotate
from tests.support.fakes_agent import Signer, trust
from tests.support.fakes_updates import PUBLISHER, FakePublisher, InstalledHost, an_update, unit


class Killed(BaseException):
    """Ends the process like a power cut."""


@pytest.fixture
def host(tmp_path):
    return InstalledHost(tmp_path)


def test_a_new_version_that_reports_healthy_is_kept(host):
    host.ask_for("2.0.0")
    host.update()
    assert (host.running, host.version, host.record.step) == ("2.0.0", "2.0.0", "kept")
    assert host.releases.proven == host.releases.current
    assert not host.notes.request.exists()
    assert host.kept == ["1.0.0", "2.0.0"]


def test_a_version_that_does_not_report_healthy_is_reverted_with_the_reason(host):
    host.healthy = lambda version: version == "1.0.0"
    host.ask_for("2.0.0")
    host.update()
    assert (host.running, host.version, host.record.step) == ("1.0.0", "1.0.0", "returned")
    assert host.record.problem == UPDATE_UNHEALTHY.problem(
        version="2.0.0", seconds=10, checks="", troubles=""
    )
    assert host.starts == ["1.0.0", "2.0.0", "1.0.0"]
    assert host.kept == ["1.0.0"]


def test_a_failed_installation_changes_nothing(host):
    host.uninstallable = True
    host.ask_for("2.0.0")
    host.update()
    assert host.starts == ["1.0.0"]
    assert (host.record.step, host.record.problem.parameters) == (
        "failed",
        {"detail": "the package index is away"},
    )


def test_two_versions_are_kept_on_the_disk(host):
    for number in range(2, 6):
        host.ask_for(f"{number}.0.0", update_id=f"{number:012x}")
        host.update()
    assert host.running == "5.0.0"
    assert host.kept == ["4.0.0", "5.0.0"]


class TestUnits:
    """A release brings its systemd units: another sandbox, another limit."""

    def test_the_new_version_is_tried_with_its_unit_under_the_account_of_the_host(self, host):
        drop_in = host.units / f"{AGENT_UNIT}.d/override.conf"
        drop_in.parent.mkdir()
        drop_in.write_text("[Service]\nLimitNOFILE=4096\n")
        host.ask_for("2.0.0")
        host.update()
        assert host.started_with == [unit("1.0.0", "files"), unit("2.0.0", "files")]
        for name in (AGENT_UNIT, *UPDATER_UNITS):
            assert (host.units / name).read_text() == unit("2.0.0", "files")
        assert drop_in.read_text() == "[Service]\nLimitNOFILE=4096\n", "an administrator's own"

    def test_a_version_that_is_not_kept_takes_its_units_back(self, host):
        host.healthy = lambda version: version == "1.0.0"
        host.ask_for("2.0.0")
        host.update()
        before, tried, after = host.started_with
        assert (before, tried, after) == (after, unit("2.0.0", "files"), unit("1.0.0", "files"))
        for name in (AGENT_UNIT, *UPDATER_UNITS):
            assert (host.units / name).read_text() == unit("1.0.0", "files")

    def test_the_updater_keeps_its_own_units_while_a_version_is_on_trial(self, host):
        """They would otherwise be those of a version that may not even start."""
        seen = []
        host.healthy = lambda _: bool(seen.append((host.units / UPDATER_UNITS[0]).read_text())) or True
        host.ask_for("2.0.0")
        host.update()
        assert seen == [unit("1.0.0", "files")]

    def test_a_release_without_its_unit_is_not_even_started(self, host):
        make = host._make

        def damaged(version: str) -> str:
            release = make(version)
            (host.releases.path(release) / "units" / AGENT_UNIT).unlink()
            return release

        host._make = damaged
        host.ask_for("2.0.0")
        host.update()
        assert (host.running, host.record.step) == ("1.0.0", "returned")
        assert host.record.problem.wording == UPDATE_UNITS_NOT_USED.wording
        assert "2.0.0 cannot be used" in host.record.problem.message
        assert host.starts == ["1.0.0", "1.0.0"]

    def test_what_cannot_be_taken_back_does_not_keep_the_old_version_away(self, host):
        host.healthy = lambda version: version == "1.0.0"
        reload = host.systemctl

        def failing(*arguments: str) -> None:
            if host.running == "2.0.0":
                raise HostError("systemctl daemon-reload failed: Transport endpoint is not connected")
            reload(*arguments)

        host.systemctl = failing
        host.ask_for("2.0.0")
        host.update()
        assert (host.running, host.version, host.record.step) == ("1.0.0", "1.0.0", "returned")
        assert host.record.problem.code == UPDATE_UNHEALTHY.code

    @pytest.mark.parametrize("name", [AGENT_UNIT, UPDATER_UNITS[0]])
    def test_a_unit_that_is_masked_or_kept_elsewhere_stays_as_it_is(self, host, tmp_path, name):
        elsewhere = tmp_path / "unit of the administrator"
        (host.units / name).rename(elsewhere)
        (host.units / name).symlink_to(elsewhere)
        host.ask_for("2.0.0")
        host.update()
        assert (host.units / name).readlink() == elsewhere
        assert elsewhere.read_text() == unit("1.0.0", "files")

    def test_a_host_without_units_gets_none(self, host):
        """Like an image, which is set up without systemd."""
        for path in host.units.iterdir():
            path.unlink()
        host.ask_for("2.0.0")
        host.update()
        assert (host.running, host.record.step) == ("2.0.0", "kept")
        assert list(host.units.iterdir()) == []


REFUSED = {
    "another key's": lambda host: Signer().envelope(an_update()),
    "for another agent": lambda host: host.signer.envelope(an_update(), aud="server-c"),
    "expired": lambda host: host.signer.envelope(an_update(), iat=1_000, exp=2_000),
    "another command": lambda host: host.signer.envelope(Rotate()),
    "not a command": lambda host: b"#!/bin/sh",
    "a job without an order": lambda host: b'{"update_id": "0123456789ab", "version": "2.0.0"}',
    "too large": lambda host: b" " * 200_000,
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_updater_executes_signed_orders_only(host, case):
    host.show(REFUSED[case](host))
    host.update()
    assert (host.starts, host.kept, host.record) == (["1.0.0"], ["1.0.0"], None)
    assert not host.notes.request.exists()


@pytest.mark.parametrize("step", ["request", "verdict"])
def test_a_directory_in_place_of_a_file_stops_no_update(host, tmp_path, step):
    """The agent's account is in a stranger's hands, and shall not keep the host at a version with a hole."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    in_the_way = getattr(host.notes, step)
    (in_the_way / "full").mkdir(parents=True)
    (in_the_way / "link").symlink_to(outside)
    if step == "request":
        host.update()
        assert not in_the_way.exists()
    host.ask_for("2.0.0")
    host.update()
    assert (host.running, host.record.step) == ("2.0.0", "kept")
    assert (outside / "kept").exists()


def test_new_keys_are_pinned_if_a_pinned_key_has_signed_them(host):
    first, second = host.signer, Signer("key-2")
    host.show(Signer().envelope(trust(second)))
    host.update()
    assert host.pinned == [first.jwk]
    host.show(first.envelope(trust(first, second)))
    host.update()
    assert [key["kid"] for key in host.pinned] == ["key-1", "key-2"]
    host.show(second.envelope(an_update("2.0.0")))
    host.update()
    assert (host.running, host.starts) == ("2.0.0", ["1.0.0", "2.0.0"])


def test_an_order_is_executed_once_and_older_orders_are_refused(host):
    """The agent's account must not be able to bring back a version with a security hole."""
    now = int(time.time())
    before = host.signer.envelope(an_update("1.5.0", "aaaaaaaaaaaa"), iat=now - 30)
    latest = host.signer.envelope(an_update("2.0.0"), iat=now)
    for message in (latest, latest, before):
        host.show(message)
        host.update()
    assert host.starts == ["1.0.0", "2.0.0"]
    assert host.record.order.version == "2.0.0"


THIEF = FakePublisher()
UNSIGNED = {
    "by nobody": an_update(release="nothing"),
    "by a thief": an_update(release=THIEF.sign("2.0.0")),
    "at a time that has not come": an_update(release=PUBLISHER.sign("2.0.0", iat=int(time.time()) + 86_400)),
    "about another version": an_update(release=PUBLISHER.sign("1.9.0")),
    "about another script": an_update(release=PUBLISHER.sign("2.0.0", script="99" * 32)),
    "without an algorithm": an_update(
        release=jwt.encode(
            {"iss": "crosshaul-publisher", "iat": 1, "version": "2.0.0", "script": "ab" * 32},
            None,
            algorithm="none",
        )
    ),
}


@pytest.mark.parametrize("how", UNSIGNED)
def test_an_order_without_the_publishers_signature_installs_nothing_and_says_why(host, how):
    host.show(host.signer.envelope(UNSIGNED[how]))
    host.update()
    assert (host.starts, host.kept) == (["1.0.0"], ["1.0.0"])
    assert host.record.step == "failed"
    assert host.record.problem.code == "update-refused"
    host.ask_for("2.0.0", update_id="bbbbbbbbbbbb", iat=int(time.time()) + 1)
    host.update()
    assert host.running == "2.0.0"


def test_without_the_publishers_key_no_release_is_installed(host):
    host.publisher.path.unlink()
    host.ask_for("2.0.0")
    host.update()
    assert (host.starts, host.record.step) == (["1.0.0"], "failed")
    assert host.record.problem.wording == "update-unpinned"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b"[]", b'{"keys": []}', b'{"keys": ["short"]}'])
def test_with_damaged_keys_no_release_is_installed_and_the_reason_says_which_file(host, content):
    host.publisher.path.write_bytes(content)
    host.ask_for("2.0.0")
    host.update()
    assert (host.starts, host.record.step) == (["1.0.0"], "failed")
    assert host.record.problem.wording == "update-unpinned"
    assert str(host.publisher.path) in host.record.problem.message


def test_an_order_cannot_return_a_host_to_a_release_signed_before_the_one_it_keeps(host):
    """Whoever holds the key that signs commands may order only what is newer: no old security hole."""
    old, new = PUBLISHER.sign("1.5.0", iat=1_000), PUBLISHER.sign("2.0.0", iat=2_000)
    now = int(time.time())
    for number, (version, release) in enumerate((("2.0.0", new), ("1.5.0", old))):
        order = an_update(version, f"{number:012x}", release=release)
        host.show(host.signer.envelope(order, iat=now + number))
        host.update()
    assert host.running == "2.0.0"
    assert host.record.problem == UPDATE_OLDER.problem(version="1.5.0")
    again = an_update("1.5.0", "f" * 12, release=PUBLISHER.sign("1.5.0", iat=3_000))
    host.show(host.signer.envelope(again, iat=now + 2))
    host.update()
    assert host.running == "1.5.0"


def test_a_release_that_did_not_work_bars_no_way_back(host):
    host.healthy = lambda version: version != "3.0.0"
    now = int(time.time())
    for number, (version, signed) in enumerate((("3.0.0", 3_000), ("2.0.0", 2_000))):
        order = an_update(version, f"{number:012x}", release=PUBLISHER.sign(version, iat=signed))
        host.show(host.signer.envelope(order, iat=now + number))
        host.update()
    assert (host.running, host.record.step) == ("2.0.0", "kept")


class TestTheKeyOfReleasesIsReplaced:
    """A release announces the next key, signed with the present one."""

    def update(self, host, version, signer, **claims):
        number = int(version[0])
        order = an_update(version, f"{number:012x}", release=signer.sign(version, iat=number, **claims))
        host.show(host.signer.envelope(order, iat=int(time.time()) + number))
        host.update()
        return host.record.step

    def test_a_host_that_keeps_the_release_trusts_both_and_then_only_the_new_one(self, host):
        following = FakePublisher()
        assert self.update(host, "2.0.0", following) == "failed"
        assert self.update(host, "3.0.0", PUBLISHER, next_key=following.public) == "kept"
        assert host.publisher.trusted().keys == (PUBLISHER.public, following.public)
        assert self.update(host, "4.0.0", following) == "kept"
        assert host.publisher.trusted().keys == (following.public,)
        assert self.update(host, "5.0.0", PUBLISHER) == "failed"

    def test_a_key_that_only_a_failed_release_announces_is_not_trusted(self, host):
        following = FakePublisher()
        host.healthy = lambda version: version == "1.0.0"
        assert self.update(host, "2.0.0", PUBLISHER, next_key=following.public) == "returned"
        assert host.publisher.trusted().keys == (PUBLISHER.public,)


@pytest.mark.parametrize("kind", ["symlink", "directory", "pipe"])
def test_links_and_pipes_in_the_agents_files_are_not_followed(host, tmp_path, kind):
    secret = tmp_path / "shadow"
    secret.write_bytes(host.signer.envelope(an_update()))
    create = {
        "symlink": lambda: host.notes.request.symlink_to(secret),
        "directory": host.notes.verdict.mkdir,
        "pipe": lambda: os.mkfifo(host.notes.request),
    }
    create[kind]()
    host.update()
    assert host.starts == ["1.0.0"]
    assert secret.exists()


def test_a_health_report_about_another_update_is_ignored(host):
    host.healthy = lambda _: False
    host.notes.verdict.write_text(
        '{"update_id": "ffffffffffff", "version": "2.0.0", "healthy": true, "troubles": {}}'
    )
    host.ask_for("2.0.0")
    host.update()
    assert host.record.step == "returned"


WRITES = ("open", "replace", "symlink", "unlink", "rmdir", "mkdir", "fsync")


def kill_at(monkeypatch, step):
    """End the process at the given write to the disk."""
    done = [0]

    def count_calls(original):
        def call(*args, **kwargs):
            if done[0] >= step:
                raise Killed
            done[0] += 1
            return original(*args, **kwargs)

        return call

    for name in WRITES:
        monkeypatch.setattr(os, name, count_calls(getattr(os, name)))


@pytest.mark.parametrize("new_is_good", [True, False])
def test_after_a_kill_at_any_step_the_old_or_the_new_agent_runs(tmp_path, monkeypatch, new_is_good):
    step, was_killed = 0, True
    while was_killed:
        host = InstalledHost(tmp_path / f"{step}")
        host.healthy = lambda version: new_is_good or version == "1.0.0"
        host.ask_for("2.0.0")
        with monkeypatch.context() as patched:
            kill_at(patched, step)
            try:
                host.update()
                was_killed = False
            except Killed:
                was_killed = True
        assert host.version in {"1.0.0", "2.0.0"}, "the link is never missing"
        host.boot()
        record = host.record
        assert record is None or not record.is_under_way
        if record and record.step == "kept":
            assert new_is_good
            assert (host.running, host.version) == ("2.0.0", "2.0.0")
        else:
            assert (host.running, host.version) == ("1.0.0", "1.0.0")
        assert host.releases.proven == host.releases.current
        for name in (AGENT_UNIT, *UPDATER_UNITS):
            assert (host.units / name).read_text() == unit(host.version, "files")
        assert host.started_with[-1] == unit(host.version, "files")
        # whatever was lost, the next order is executed
        host.healthy = lambda _: True
        host.ask_for("3.0.0", update_id="bbbbbbbbbbbb")
        host.update()
        assert (host.running, host.record.step) == ("3.0.0", "kept")
        assert len(host.kept) == 2
        step += 1
    assert step > 15
