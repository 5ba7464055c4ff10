"""The doctor: one line for each thing that must be so, an advice for each that is not."""

import contextlib
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from agent import doctor, host_info, lock
from agent.cli.commands.host import app
from agent.identity.enrollment import write_secret
from agent.identity.registration import Files, Registration
from tests.support.fakes_agent import AGENT, THING, Signer


def certificate(key, end: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=30))
        .not_valid_after(end)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


class Host:
    """A host on which everything is right; tests spoil one thing."""

    def __init__(self, folder):
        self.folder = folder
        self.files = Files(folder / "state")
        self.files.folder.mkdir(mode=0o700)
        (folder / "data").mkdir()
        self.config = folder / "agent.toml"
        self.port = free_port()
        self.write_config()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.write_files(datetime.now(UTC) + timedelta(days=30))
        self.mqtt_port = free_port()
        self.register()

    def write_config(self, **changes: str) -> None:
        root = changes.get("root", str(self.folder / "data"))
        text = f'state = "{self.files.folder}"\n[lane]\nlisten = "127.0.0.1:{self.port}"\n'
        self.config.write_text(text + f'[[roots]]\npath = "/data"\naccess = "rw"\ndirectory = "{root}"\n')

    def write_files(self, end: datetime) -> None:
        pem = serialization.Encoding.PEM
        plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        own = certificate(self.key, end)
        contents = {
            self.files.device_key: self.key.private_bytes(pem, *plain),
            self.files.device_certificate: own,
            self.files.ca: own,
            self.files.lane_key: b"x",
            self.files.api_key: b"x",
        }
        for path, content in contents.items():
            path.unlink(missing_ok=True)
            write_secret(path, content)

    def register(self) -> None:
        self.files.record.write_text(
            Registration(
                agent_id=AGENT,
                thing=THING,
                api_url=f"http://127.0.0.1:{free_port()}",
                stage="local",
                mqtt_host="127.0.0.1",
                mqtt_port=self.mqtt_port,
                verification_keys=(Signer().jwk,),
                registered_at=datetime.now(UTC),
            ).model_dump_json()
        )

    def look(self) -> dict[str, doctor.Check]:
        return {check.name: check for check in doctor.examine(self.config)}

    def serve_tls(self) -> threading.Thread:
        """One TLS connection, as a broker would take it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.files.device_certificate, self.files.device_key)
        listener = socket.create_server(("127.0.0.1", self.mqtt_port))

        def accept():
            with listener, listener.accept()[0] as plain, contextlib.suppress(ssl.SSLError):
                context.wrap_socket(plain, server_side=True).close()

        thread = threading.Thread(target=accept)
        thread.start()
        return thread


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(host_info, "rclone_version", lambda: "1.75.2")
    return Host(tmp_path)


def test_what_is_right_is_ok_and_what_is_away_is_told(host):
    broker = host.serve_tls()
    found = host.look()
    broker.join(5)
    assert found["broker"].ok, found["broker"].found
    assert {name for name, check in found.items() if not check.ok} == {"clock"}, "no API listens here"
    assert "TLSv1" in found["broker"].found
    assert found["registration"].found == "server-b, stage local, client id crosshaul:local:server-b"
    assert all(check.advice for check in found.values() if not check.ok)


def test_a_wrong_configuration_ends_the_examination(host):
    host.config.write_text("roots = 5")
    assert list(host.look()) == ["configuration"]


def test_open_keys_and_directories_are_named(host):
    host.files.api_key.chmod(0o644)
    host.files.folder.chmod(0o755)
    found = host.look()
    assert found["keys"].advice == f"chmod 600 {host.files.api_key}"
    assert found["state directory"].advice == f"chmod 700 {host.files.folder}"


def test_a_missing_root(host):
    host.write_config(root="/nowhere/at/all")
    assert "/nowhere/at/all does not exist" in host.look()["root /data"].found


def test_a_remote_must_be_one_that_rclone_knows(host):
    described = host.folder / "rclone.conf"
    offered = "".join(f'[[remotes]]\nname = "{name}"\naccess = "ro"\n' for name in ("archive", "lost"))
    host.config.write_text(f'rclone_config = "{described}"\n{host.config.read_text()}{offered}')
    assert "cannot be read" in host.look()["remote archive"].found
    described.write_text("[archive]\ntype = alias\nremote = /nowhere\n")
    described.chmod(0o644)
    assert "other users may read" in host.look()["remote archive"].found
    described.chmod(0o600)
    found = host.look()
    assert (found["remote archive"].ok, found["remote archive"].found) == (True, "archive:, ro")
    assert (found["remote lost"].ok, found["remote lost"].advice) == (
        False,
        "correct agent.toml or rclone.conf",
    )


def test_an_expired_certificate(host):
    host.write_files(datetime.now(UTC) - timedelta(days=1))
    check = host.look()["certificate"]
    assert not check.ok
    assert "--force" in check.advice


def test_a_damaged_certificate(host):
    host.files.device_certificate.write_text("-----BEGIN CERTIFICATE-----")
    assert "cannot be used" in host.look()["certificate"].found


def test_a_broker_that_is_not_there(host):
    assert "does not answer" in host.look()["broker"].found


def test_a_broker_that_nobody_vouches_for(host):
    thread = host.serve_tls()
    other = ec.generate_private_key(ec.SECP256R1())
    host.files.ca.write_bytes(certificate(other, datetime.now(UTC) + timedelta(days=1)))
    found = host.look()["broker"]
    thread.join(5)
    assert "TLS with 127.0.0.1" in found.found


@pytest.mark.parametrize(
    ("version", "ok"), [("1.66.0", True), ("1.9.3", False), (None, False), ("2.0", True)]
)
def test_rclone_must_be_there_and_new_enough(host, monkeypatch, version, ok):
    monkeypatch.setattr(host_info, "rclone_version", lambda: version)
    assert host.look()["rclone"].ok is ok


def test_the_lane_port_must_be_free_or_answer(host):
    assert "is free" in host.look()["lane port"].found
    with socket.create_server(("127.0.0.1", host.port)):
        assert "cannot listen" in host.look()["lane port"].found
        with lock.only_one(host.files.lock):
            assert "answers" in host.look()["lane port"].found
    with lock.only_one(host.files.lock):
        assert "does not answer" in host.look()["lane port"].found


def test_not_registered(host):
    host.files.record.unlink()
    assert "not registered" in host.look()["registration"].found
    assert "broker" not in host.look()


def test_the_command_ends_with_1_if_anything_is_wrong(host):
    done = CliRunner().invoke(app, ["doctor", "--config", str(host.config)])
    assert done.exit_code == 1
    assert "FAIL  broker" in done.output
    assert "→" in done.output


def test_status_of_an_agent_that_does_not_run(host):
    done = CliRunner().invoke(app, ["status", "--config", str(host.config), "--json"])
    assert done.exit_code == 1
    assert '"running": false' in done.output
    done = CliRunner().invoke(app, ["status", "--config", str(host.config)])
    assert "not running" in done.output
