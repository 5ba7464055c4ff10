"""The lane's key and certificate: made once, whole, and for nobody else to read."""

import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from agent.files import disk
from agent.identity import lane_certificate
from agent.lane.grants import client_context


def test_they_are_made_once(tmp_path):
    made = lane_certificate.ensure(tmp_path)
    before = made.key.read_bytes(), made.certificate.read_bytes()
    assert lane_certificate.ensure(tmp_path) == lane_certificate.load(tmp_path) == made
    assert (made.key.read_bytes(), made.certificate.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lane.key", "lane.pem"]


def test_only_their_owner_reads_them_whatever_stood_there(tmp_path):
    (tmp_path / "lane.key").write_text("an older one")
    (tmp_path / "lane.key").chmod(0o644)
    made = lane_certificate.ensure(tmp_path)
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600


def test_two_of_them_fit_together_also_after_a_crash_between_them(tmp_path, monkeypatch):
    really = os.fsync

    def crashing(descriptor):
        if "lane.pem" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError("the power went")
        really(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "fsync", crashing)
        with pytest.raises(OSError, match="power"):
            lane_certificate.ensure(tmp_path)
    assert not (tmp_path / "lane.pem").exists()
    made = lane_certificate.ensure(tmp_path)
    context = client_context(made, made.certificate.read_text())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lane.key", "lane.pem"]


def test_no_two_agents_have_certificates_of_one_name(tmp_path):
    """OpenSSL looks for an issuer by name, and would try the wrong one."""
    subjects = set()
    for name in "bc":
        (tmp_path / name).mkdir()
        pem = lane_certificate.ensure(tmp_path / name).certificate.read_bytes()
        subjects.add(x509.load_pem_x509_certificate(pem).subject)
    assert len(subjects) == 2
