"""`crosshaul agent update` and `pin`, as the systemd unit and root run them, without a control plane."""

import hashlib
import json
import threading
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.errors import HostError
from agent.updating.installer import installer, restarter
from agent.updating.pinned_keys import trusted, verifier
from agent.updating.releases import Releases
from agent.updating.state_files import UpdateFiles
from agent.updating.units import AGENT_UNIT, UPDATER_UNITS
from events.releases import PublishedRelease
from tests.support.fakes_agent import AGENT, THING, Signer
from tests.support.fakes_updates import an_update

SIGNER = Signer()
UNITS = (AGENT_UNIT, *UPDATER_UNITS)


@pytest.fixture
def host(tmp_path):
    """Return a folder with agent.toml and a registration."""
    etc, state = tmp_path / "etc/crosshaul", tmp_path / "var/lib/crosshaul"
    for directory in (etc, state, tmp_path / "opt/crosshaul/releases"):
        directory.mkdir(parents=True)
    config = etc / "agent.toml"
    config.write_text(f'state = "{state}"\n[[roots]]\npath = "/data"\naccess = "ro"\n')
    record = {
        "agent_id": AGENT,
        "thing": THING,
        "api_url": "http://api.localhost",
        "stage": "local",
        "mqtt_host": "127.0.0.1",
        "mqtt_port": 1,
        "verification_keys": [SIGNER.jwk],
        "registered_at": "2026-11-26T08:00:00.000Z",
    }
    (state / "registration.json").write_text(json.dumps(record))
    return tmp_path


def crosshaul(host, *arguments):
    config = ("--config", str(host / "etc/crosshaul/agent.toml"))
    return CliRunner().invoke(app, ["agent", *arguments, *config])


def update(host):
    return crosshaul(host, "update", "--prefix", str(host), "--restart", "true")


def test_root_pins_the_keys_of_the_registration_and_an_update_is_verified_with_those(host):
    assert crosshaul(host, "pin").exit_code == 0
    config = host / "etc/crosshaul/agent.toml"
    assert trusted(config).agent_id == AGENT
    claims, _ = verifier(config).verify(SIGNER.envelope(an_update()))
    assert claims.command == an_update()


def test_without_pinned_keys_updates_are_refused_and_the_request_is_deleted(host):
    request = UpdateFiles(host / "var/lib/crosshaul").request
    request.write_bytes(SIGNER.envelope(an_update()))
    result = update(host)
    assert result.exit_code != 0
    assert "crosshaul agent pin" in result.stderr
    assert not request.exists()


def test_without_a_request_it_does_nothing(host):
    assert update(host).exit_code == 0


def test_only_root_may_update(host, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = crosshaul(host, "update")
    assert result.exit_code != 0
    assert "crosshaul agents update NAME" in result.stderr


@pytest.fixture
def script_url(host):
    """Serve a folder; yield the URL of its script."""
    directory = host / "site"
    directory.mkdir()
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/install.sh"
        server.shutdown()
        thread.join()


def order_for(host, url, script=b""):
    (host / "site/install.sh").write_bytes(script)
    digest = hashlib.sha256(script).hexdigest()
    return an_update().model_copy(update={"script": url, "digest": digest})


def signed(order):
    """Return what the publisher says about an order, as the updater has verified it."""
    return PublishedRelease(
        iat=1,
        version=order.version,
        script=order.digest,
        package="cd" * 32,
        lock="ef" * 32,
        units={name: hashlib.sha256(name.encode()).hexdigest() for name in UNITS},
        rclone=("12" * 32,),
    )


def a_release(host, parts, rclone=None):
    """Return a script that leaves a release of 2.0.0 behind, and the release's directory."""
    release = host / "opt/crosshaul/releases/new"
    (release / "bin").mkdir(parents=True)
    (release / "bin/crosshaul").write_text("#!/bin/sh\necho crosshaul 2.0.0\n")
    (release / "bin/crosshaul").chmod(0o755)
    (release / "installed-from").write_text(parts)
    (release / "units").mkdir()
    for name in UNITS:
        (release / "units" / name).write_text(name)
    if rclone is not None:
        (release / "bin/rclone").write_bytes(rclone)
    return f"echo {release}".encode()


def test_what_was_installed_is_compared_with_what_the_publisher_has_signed(host, script_url):
    """What differs does not stay on the disk, where many orders would fill it."""
    releases = Releases(host / "opt/crosshaul")
    install = installer(releases, str(host))

    def order():
        return order_for(host, script_url, a_release(host, f"{'cd' * 32} {'ef' * 32}\n", b"rclone"))

    def refused(signature, match):
        with pytest.raises(HostError, match=match):
            install(order(), signature)
        assert not releases.path("new").exists()

    kept = order()
    rclone = ("12" * 32, hashlib.sha256(b"rclone").hexdigest())
    whole = signed(kept).model_copy(update={"rclone": rclone})
    assert install(kept, whole) == "new"
    releases.delete_release("new")
    refused(signed(kept), r"The rclone of 2\.0\.0 is not one")
    for other in ({"package": "99" * 32}, {"lock": "99" * 32}):
        refused(whole.model_copy(update=other), "from the package and the lock file that are signed")
    for name in UNITS:
        units = {**whole.units, name: "99" * 32}
        match = f"The {name} of 2.0.0 is not the one that the publisher"
        refused(whole.model_copy(update={"units": units}), match)


def test_a_script_that_was_changed_after_the_order_was_signed_is_not_run(host, script_url):
    order = order_for(host, script_url, b"echo fine")
    (host / "site/install.sh").write_text(f"touch {host}/evil")
    with pytest.raises(HostError, match="is not what was published"):
        installer(Releases(host / "opt/crosshaul"), str(host))(order, signed(order))
    assert not (host / "evil").exists()


def test_a_script_without_an_end_is_not_read_to_the_end(host):
    """The updater is root's: what its memory cannot hold, the host's cannot."""
    sent = []

    class EndlessHandler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            with suppress(ConnectionError):
                while len(sent) < 200:
                    self.wfile.write(bytes(1024 * 1024))
                    sent.append(1)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), EndlessHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        order = an_update().model_copy(update={"script": f"http://127.0.0.1:{server.server_port}/install.sh"})
        with pytest.raises(HostError, match="is not what was published"):
            installer(Releases(host / "opt/crosshaul"), str(host))(order, signed(order))
        server.shutdown()
        thread.join()
    assert len(sent) < 100


def test_a_failed_installation_is_reported_with_its_output(host, script_url):
    install = installer(Releases(host / "opt/crosshaul"), str(host))
    for script, arguments in (
        (b"echo no space left >&2; exit 1", r"Installing 2\.0\.0 failed: no space left"),
        (b"printf 'no room for caf\\351' >&2; exit 1", r"failed: no room for caf"),
        (b"echo /somewhere/else", "not beside the other releases"),
        (b"echo " + str(host / "opt/crosshaul/releases/x").encode(), "installed-from"),
    ):
        order = order_for(host, script_url, script)
        with pytest.raises((HostError, OSError), match=arguments):
            install(order, signed(order))
    nowhere = an_update().model_copy(update={"script": "http://127.0.0.1:9/install.sh"})
    with pytest.raises(HostError, match="cannot be fetched"):
        install(nowhere, signed(nowhere))


@pytest.mark.parametrize("start", ["false", "sleep 3600"])
def test_a_service_that_does_not_start_does_not_stop_the_updater(start):
    restarter(start, timeout_s=0.1)()
