"""The doctor: one line for each requirement, with advice for each that fails."""

import contextlib
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

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
from infra.local.processes import free_port
from tests.support.connect_proxy import ConnectProxy
from tests.support.fakes_agent import AGENT, THING, Signer
from tests.support.loopback_server import ConnectionServer
from tests.support.waiting import HANG_TIMEOUT_S
from tests.unit.agent.conftest import BROKER_NAME

USER = "ann:secret"


def certificate(key, end: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(ip_address("127.0.0.1"))
    names = x509.SubjectAlternativeName([address, x509.DNSName(BROKER_NAME)])
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


class CheckedHost:
    """A host that passes every check; each test breaks one thing."""

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
        text += changes.get("network", "") + changes.get("metrics", "")
        self.config.write_text(text + f'[[roots]]\npath = "/data"\naccess = "rw"\ndirectory = "{root}"\n')

    def write_files(self, end: datetime) -> None:
        pem = serialization.Encoding.PEM
        plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        pem_certificate = certificate(self.key, end)
        contents = {
            self.files.device_key: self.key.private_bytes(pem, *plain),
            self.files.device_certificate: pem_certificate,
            self.files.ca: pem_certificate,
            self.files.lane_key: b"x",
            self.files.api_key: b"x",
        }
        for path, content in contents.items():
            path.unlink(missing_ok=True)
            write_secret(path, content)

    def register(self, mqtt_host: str = "127.0.0.1", mqtt_port: int = 0) -> None:
        self.files.registration_file.write_text(
            Registration(
                agent_id=AGENT,
                thing=THING,
                api_url=f"http://127.0.0.1:{free_port()}",
                stage="local",
                mqtt_host=mqtt_host,
                mqtt_port=mqtt_port or self.mqtt_port,
                verification_keys=(Signer().jwk,),
                registered_at=datetime.now(UTC),
            ).model_dump_json()
        )

    def examine(self) -> dict[str, doctor.Check]:
        return {check.name: check for check in doctor.examine(self.config)}

    def serve_tls(self) -> threading.Thread:
        """Accept one TLS connection, like a broker."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.files.device_certificate, self.files.device_key)
        listener = socket.create_server(("127.0.0.1", self.mqtt_port))

        def accept():
            with listener, listener.accept()[0] as plain, contextlib.suppress(ssl.SSLError):
                context.wrap_socket(plain, server_side=True).close()

        thread = threading.Thread(target=accept)
        thread.start()
        return thread


class PageServer(ConnectionServer):
    """Answers every HTTP request with one page."""

    def __init__(self, page: bytes) -> None:
        self._page = page
        super().__init__()

    def _serve(self, client: socket.socket) -> None:
        with client:
            client.recv(4096)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self._page) + self._page)


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(host_info, "rclone_version", lambda: "1.75.2")
    return CheckedHost(tmp_path)


def test_valid_state_is_ok_and_an_unreachable_api_is_reported(host):
    broker = host.serve_tls()
    checks = host.examine()
    broker.join(HANG_TIMEOUT_S)
    assert checks["broker"].ok, checks["broker"].found
    assert {name for name, check in checks.items() if not check.ok} == {"clock"}, "no API listens here"
    assert "TLSv1" in checks["broker"].found
    assert checks["registration"].found == "server-b, stage local, client id crosshaul:local:server-b"
    assert all(check.advice for check in checks.values() if not check.ok)


def behind(proxy: ConnectProxy, credentials: Path | None = None) -> str:
    named = f'proxy_credentials = "{credentials}"\n' if credentials else ""
    return f'[network]\nproxy = "{proxy.url}"\n{named}'


def test_through_a_proxy_the_broker_is_reached_with_the_port_that_the_host_has_chosen(host, proxy_variables):
    host.register(BROKER_NAME, 8883)
    credentials = host.folder / "credentials"
    write_secret(credentials, USER.encode())
    with ConnectProxy({(BROKER_NAME, 443): host.mqtt_port}, USER) as proxy:
        host.write_config(network=f"{behind(proxy, credentials)}mqtt_port = 443\n")
        broker = host.serve_tls()
        checks = host.examine()
        broker.join(HANG_TIMEOUT_S)
    assert checks["proxy"].found == f"127.0.0.1:{proxy.port}, with credentials"
    assert checks["broker"].ok, checks["broker"].found
    assert f"{BROKER_NAME}:443 through 127.0.0.1:{proxy.port}, TLSv1" in checks["broker"].found
    assert proxy.tunnels[-1].asks_for("x-amzn-mqtt-ca")


def test_where_only_443_is_let_through_the_advice_is_to_set_it(host, proxy_variables):
    host.register(BROKER_NAME, 8883)
    with ConnectProxy({(BROKER_NAME, 443): host.mqtt_port}) as proxy:
        host.write_config(network=behind(proxy))
        broker = host.serve_tls()
        check = host.examine()["broker"]
        broker.join(HANG_TIMEOUT_S)
    assert f"refuses {BROKER_NAME}:8883: 403" in check.found
    assert "set mqtt_port = 443 under [network] in agent.toml" in check.advice


def test_a_proxy_that_wants_a_password_is_told_from_one_that_has_no_way_there(host, proxy_variables):
    host.register(BROKER_NAME, 443)
    with ConnectProxy({(BROKER_NAME, 443): host.mqtt_port}, USER) as proxy:
        host.write_config(network=behind(proxy))
        check = host.examine()["broker"]
    assert "407" in check.found
    assert "network.proxy_credentials" in check.advice
    with ConnectProxy({}) as proxy:
        host.write_config(network=behind(proxy))
        check = host.examine()["broker"]
    assert "403" in check.found
    assert "docs/guides/network.md" in check.advice


def test_a_proxy_or_its_credentials_that_cannot_be_used_end_the_checks_of_the_network(host, proxy_variables):
    host.write_config(network=f'[network]\nproxy = "http://127.0.0.1:{free_port()}"\n')
    checks = host.examine()
    assert "does not answer" in checks["proxy"].found
    assert "network.proxy" in checks["proxy"].advice
    assert "broker" not in checks
    credentials = host.folder / "credentials"
    credentials.write_text(USER)
    credentials.chmod(0o644)
    host.write_config(
        network=f'[network]\nproxy = "http://127.0.0.1:1"\nproxy_credentials = "{credentials}"\n'
    )
    check = host.examine()["proxy"]
    assert (check.ok, check.advice) == (False, f"chmod 600 {credentials}")
    assert "secret" not in check.found


def test_a_wrong_configuration_ends_the_examination(host):
    host.config.write_text("roots = 5")
    assert list(host.examine()) == ["configuration"]


def test_keys_and_directories_open_to_other_users_are_reported(host):
    host.files.api_key.chmod(0o644)
    host.files.folder.chmod(0o755)
    checks = host.examine()
    assert checks["keys"].advice == f"chmod 600 {host.files.api_key}"
    assert checks["state directory"].advice == f"chmod 700 {host.files.folder}"


def test_a_missing_root(host):
    host.write_config(root="/nowhere/at/all")
    assert "/nowhere/at/all does not exist" in host.examine()["root /data"].found


def test_a_remote_must_be_one_that_rclone_knows(host):
    rclone_config = host.folder / "rclone.conf"
    remotes = "".join(f'[[remotes]]\nname = "{name}"\naccess = "ro"\n' for name in ("archive", "lost"))
    host.config.write_text(f'rclone_config = "{rclone_config}"\n{host.config.read_text()}{remotes}')
    assert "cannot be read" in host.examine()["remote archive"].found
    rclone_config.write_text("[archive]\ntype = alias\nremote = /nowhere\n")
    rclone_config.chmod(0o644)
    assert "other users may read" in host.examine()["remote archive"].found
    rclone_config.chmod(0o600)
    checks = host.examine()
    assert (checks["remote archive"].ok, checks["remote archive"].found) == (True, "archive:, ro")
    assert (checks["remote lost"].ok, checks["remote lost"].advice) == (
        False,
        "correct agent.toml or rclone.conf",
    )


def test_an_expired_certificate(host):
    host.write_files(datetime.now(UTC) - timedelta(days=1))
    check = host.examine()["certificate"]
    assert not check.ok
    assert "--force" in check.advice


def test_a_damaged_certificate(host):
    host.files.device_certificate.write_text("-----BEGIN CERTIFICATE-----")
    assert "cannot be used" in host.examine()["certificate"].found


def test_an_unreachable_broker(host):
    assert "does not answer" in host.examine()["broker"].found


def test_a_broker_with_an_untrusted_certificate(host):
    thread = host.serve_tls()
    other = ec.generate_private_key(ec.SECP256R1())
    host.files.ca.write_bytes(certificate(other, datetime.now(UTC) + timedelta(days=1)))
    check = host.examine()["broker"]
    thread.join(HANG_TIMEOUT_S)
    assert "TLS with 127.0.0.1" in check.found


@pytest.mark.parametrize(
    ("version", "ok"), [("1.69.0", True), ("1.68.2", False), (None, False), ("2.0", True)]
)
def test_rclone_must_be_installed_and_new_enough(host, monkeypatch, version, ok):
    monkeypatch.setattr(host_info, "rclone_version", lambda: version)
    assert host.examine()["rclone"].ok is ok


def test_the_lane_port_must_be_free_or_answer(host):
    assert "is free" in host.examine()["lane port"].found
    with socket.create_server(("127.0.0.1", host.port)):
        assert "cannot listen" in host.examine()["lane port"].found
        with lock.exclusive(host.files.lock):
            assert "answers" in host.examine()["lane port"].found
    with lock.exclusive(host.files.lock):
        assert "does not answer" in host.examine()["lane port"].found


def test_metrics_are_offered_by_the_agent_and_not_by_another_program(host):
    assert host.examine()["metrics"].found == "neither offered nor pushed"
    with PageServer(b"# EOF\n") as agent, PageServer(b"<html>") as other:
        host.write_config(metrics=f'[metrics]\nlisten = "127.0.0.1:{agent.port}"\n')
        assert "choose another metrics.listen" in host.examine()["metrics"].advice, "the port is taken"
        with lock.exclusive(host.files.lock):
            assert host.examine()["metrics"].found == f"offered at http://127.0.0.1:{agent.port}/metrics"
            host.write_config(metrics=f'[metrics]\nlisten = "127.0.0.1:{other.port}"\n')
            assert "another program answers" in host.examine()["metrics"].found


def test_a_collector_that_does_not_answer_and_headers_that_others_may_read_are_named(host):
    headers = host.folder / "headers"
    headers.write_text("Authorization: s3cret\n")
    with socket.create_server(("127.0.0.1", 0)) as collector:
        url = f"http://127.0.0.1:{collector.getsockname()[1]}/v1/metrics"
        host.write_config(metrics=f'[metrics]\notlp = "{url}"\notlp_headers = "{headers}"\n')
        assert "other users may read" in host.examine()["metrics"].found
        headers.chmod(0o600)
        assert host.examine()["metrics"].found.startswith("pushed to 127.0.0.1:")
    check = host.examine()["metrics"]
    assert "does not answer" in check.found
    assert "s3cret" not in str(check)


def test_not_registered(host):
    host.files.registration_file.unlink()
    assert "not registered" in host.examine()["registration"].found
    assert "broker" not in host.examine()


def test_the_command_exits_with_1_if_any_check_fails(host):
    result = CliRunner().invoke(app, ["doctor", "--config", str(host.config)])
    assert result.exit_code == 1
    assert "FAIL  broker" in result.output
    assert "→" in result.output


def test_status_of_an_agent_that_does_not_run(host):
    result = CliRunner().invoke(app, ["status", "--config", str(host.config), "--json"])
    assert result.exit_code == 1
    assert '"running": false' in result.output
    result = CliRunner().invoke(app, ["status", "--config", str(host.config)])
    assert "not running" in result.output


@pytest.mark.parametrize(
    ("allowed", "loaded", "is_root", "has_bbr"),
    [
        ("reno cubic", "reno cubic", False, False),
        ("reno cubic bbr", "reno cubic bbr", False, True),
        ("reno cubic", "reno cubic bbr", False, False),
        ("reno cubic", "reno cubic bbr", True, True),
    ],
    ids=["not loaded", "allowed", "not allowed", "root needs no permission"],
)
def test_the_doctor_says_how_to_enable_bbr_where_the_agent_s_user_may_not_use_it(
    tmp_path, monkeypatch, allowed, loaded, is_root, has_bbr
):
    (tmp_path / "tcp_allowed_congestion_control").write_text(f"{allowed}\n")
    (tmp_path / "tcp_available_congestion_control").write_text(f"{loaded}\n")
    (tmp_path / "tcp_congestion_control").write_text("cubic\n")
    owner = SimpleNamespace(stat=lambda: SimpleNamespace(st_uid=0 if is_root else 990))
    check = doctor.congestion_control(owner, tmp_path)
    assert check.ok, "no host needs it"
    assert check.found.startswith("bbr" if has_bbr else "cubic; ")
    if has_bbr:
        assert check.advice == ""
    else:
        assert "modprobe tcp_bbr" in check.advice
        assert "net.ipv4.tcp_allowed_congestion_control = reno cubic bbr" in check.advice


def test_the_doctor_leaves_nothing_in_the_home_of_who_runs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert host_info.rclone_version()
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_that_does_not_tell_its_algorithms_is_no_fault(tmp_path):
    check = doctor.congestion_control(tmp_path, tmp_path)
    assert (check.ok, check.found) == (True, "unknown: No such file or directory")
