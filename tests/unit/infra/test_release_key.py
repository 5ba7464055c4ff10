"""A publisher makes a key, keeps it, and signs releases with it, which hosts verify."""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

import pytest

from agent.errors import HostError
from agent.updating.publisher_keys import PublisherKeys
from events.commands import UpdateAgent
from infra import REPOSITORY, release_key
from infra.kit import RCLONE, Kit, KitError, locked_rclone, make, released_rclone
from infra.publish import main
from infra.release_key import ReleaseKeyError

KIT = Kit(
    version="0.2.0",
    script_digest="2b" * 32,
    package_digest="1a" * 32,
    lock_digest="3c" * 32,
    unit_digests={"crosshaul-agent.service": "34" * 32},
    rclone_digests=("4d" * 32,),
    released_at=1_700_000_000,
    files={},
)


def order(release: str) -> UpdateAgent:
    return UpdateAgent(
        update_id="0123456789ab",
        version=KIT.version,
        script="https://console.example/install.sh",
        digest=KIT.script_digest,
        release=release,
    )


def test_what_a_publisher_signs_a_host_that_pinned_the_key_accepts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, following = tmp_path / "release.key", tmp_path / "next.key"
    assert main(["keygen", str(file)]) == main(["keygen", str(following)]) == 0
    public, following_public = capsys.readouterr().out.split()
    assert file.stat().st_mode & 0o777 == 0o600

    host = PublisherKeys(tmp_path / "agent.toml")
    host.pin((public,))
    signer = release_key.read(file, following_public)
    assert signer.public_keys == (public, following_public)
    release = host.verify(order(signer.sign(KIT)))
    assert (release.package, release.lock) == (KIT.package_digest, KIT.lock_digest)
    assert (release.rclone, release.units) == (KIT.rclone_digests, KIT.unit_digests)

    with pytest.raises(HostError, match="no key that root has pinned"):
        host.verify(order(release_key.read(following).sign(KIT)))
    host.keep(order(signer.sign(KIT)))
    host.verify(order(release_key.read(following).sign(KIT)))


def test_a_key_stays_with_its_publisher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inside = REPOSITORY / "release.key"
    assert main(["keygen", str(inside)]) == 1
    assert not inside.exists()
    assert main(["stage", "prod", "--key", str(inside)]) == 1
    assert capsys.readouterr().err.count("is inside the repository") == 2

    file = tmp_path / "release.key"
    assert main(["keygen", str(file)]) == 0
    before = file.read_bytes()
    assert main(["keygen", str(file)]) == 1, "an existing key is not replaced"
    assert file.read_bytes() == before
    file.chmod(0o640)
    with pytest.raises(ReleaseKeyError, match="chmod 600"):
        release_key.read(file)


def test_what_is_no_release_key_signs_nothing(tmp_path: Path) -> None:
    file = tmp_path / "release.key"
    for content in (b"", b"-----BEGIN PRIVATE KEY-----", json.dumps({"kty": "OKP"}).encode()):
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(ReleaseKeyError, match="cannot be used as a release key"):
            release_key.read(file)
    file.unlink()
    release_key.create(file)
    with pytest.raises(ReleaseKeyError, match="not the public half"):
        release_key.read(file, "short")


@pytest.fixture
def rclone_release(tmp_path: Path) -> tuple[Path, Path]:
    """Return an archive like those of rclone's own release, and its SHA256SUMS."""
    archive, sums = tmp_path / "rclone-v1.75.2-linux-amd64.zip", tmp_path / "SHA256SUMS"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("rclone-v1.75.2-linux-amd64/rclone", b"the program")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    sums.write_text(f"-----BEGIN PGP SIGNED MESSAGE-----\n\n{digest}  {archive.name}\n")
    return archive, sums


def test_rclone_may_come_from_its_own_release(rclone_release: tuple[Path, Path]) -> None:
    archive, sums = rclone_release
    programs = released_rclone([archive], sums)
    assert programs == {"x86_64": b"the program"}
    kit = make("https://d1.example", ("A" * 43,), rclone=programs)
    digest = hashlib.sha256(b"the program").hexdigest()
    [arm] = [part for part in locked_rclone() if part.endswith("/rclone-aarch64")]
    assert kit.rclone_digests == (digest, arm.partition("/")[0]), "hosts on ARM use the one in the package"
    assert f"rclone_parts='{digest}/rclone-x86_64 {arm}'".encode() in kit.files[kit.script]
    assert kit.files[f"install/{digest}/rclone-x86_64"] == b"the program"
    assert f"rclone_own={digest}/rclone-x86_64".encode() in kit.files[kit.script]


def test_an_rclone_that_its_release_does_not_name_is_not_published(
    rclone_release: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, sums = rclone_release
    archive.write_bytes(archive.read_bytes() + b" ")
    key = tmp_path / "release.key"
    assert main(["keygen", str(key)]) == 0
    given = ["stage", "prod", "--key", str(key), "--rclone", str(archive)]
    assert main([*given, "--rclone-sums", str(sums)]) == 1
    assert "is not the archive that SHA256SUMS names" in capsys.readouterr().err
    assert main([*given, "--rclone-sums", str(tmp_path / "nothing")]) == 1
    other = tmp_path / "rclone-v1.75.2-linux-mips.zip"
    other.write_bytes(b"")
    sums.write_text(f"{hashlib.sha256(b'').hexdigest()}  {other.name}\n")
    with pytest.raises(KitError, match="is for mips"):
        released_rclone([other], sums)


def test_the_rclone_that_hosts_compare_is_the_one_in_the_locked_package() -> None:
    """After a new version is locked without `make locks`, no host could be installed."""
    installed = hashlib.sha256((Path(sys.executable).parent / "rclone").read_bytes()).hexdigest()
    assert installed in RCLONE.read_text()
