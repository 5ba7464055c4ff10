"""The lane's key and certificate: created once, complete, readable by their owner only."""

import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from agent.files import disk
from agent.identity import lane_certificate
from agent.lane.grants import client_context


def test_key_and_certificate_are_created_once(tmp_path):
    identity = lane_certificate.ensure(tmp_path)
    before = identity.key.read_bytes(), identity.certificate.read_bytes()
    assert lane_certificate.ensure(tmp_path) == lane_certificate.load(tmp_path) == identity
    assert (identity.key.read_bytes(), identity.certificate.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lane.key", "lane.pem"]


def test_only_the_owner_can_read_the_key_even_if_it_existed(tmp_path):
    (tmp_path / "lane.key").write_text("an older key")
    (tmp_path / "lane.key").chmod(0o644)
    identity = lane_certificate.ensure(tmp_path)
    assert stat.S_IMODE(identity.key.stat().st_mode) == 0o600


def test_key_and_certificate_match_even_after_a_crash_between_them(tmp_path, monkeypatch):
    original_fsync = os.fsync

    def failing_fsync(descriptor):
        if "lane.pem" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError("the power went")
        original_fsync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(disk.os, "fsync", failing_fsync)
        with pytest.raises(OSError, match="power"):
            lane_certificate.ensure(tmp_path)
    assert not (tmp_path / "lane.pem").exists()
    identity = lane_certificate.ensure(tmp_path)
    context = client_context(identity, identity.certificate.read_text())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lane.key", "lane.pem"]


def test_every_agent_s_certificate_has_a_subject_of_its_own(tmp_path):
    """OpenSSL finds an issuer by name, and would try the wrong one."""
    subjects = set()
    for name in "bc":
        (tmp_path / name).mkdir()
        pem = lane_certificate.ensure(tmp_path / name).certificate.read_bytes()
        subjects.add(x509.load_pem_x509_certificate(pem).subject)
    assert len(subjects) == 2
