"""`crosshaul agent update` and `pin`, as the unit and root run them, without a control plane."""

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from agent.cli.main import app
from agent.errors import HostError
from agent.updating.installer import installer, restarter
from agent.updating.pinned_keys import trusted, verifier
from agent.updating.releases import Releases
from agent.updating.state_files import UpdateFiles
from tests.support.fakes_agent import AGENT, THING, Signer
from tests.support.fakes_updates import an_update

SIGNER = Signer()


@pytest.fixture
def host(tmp_path):
    """A folder with agent.toml and a registration."""
    etc, state = tmp_path / "etc/crosshaul", tmp_path / "var/lib/crosshaul"
    for folder in (etc, state, tmp_path / "opt/crosshaul/releases"):
        folder.mkdir(parents=True)
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


def crosshaul(host, *words):
    config = ("--config", str(host / "etc/crosshaul/agent.toml"))
    return CliRunner().invoke(app, ["agent", *words, *config])


def update(host):
    return crosshaul(host, "update", "--prefix", str(host), "--restart", "true")


def test_root_pins_the_keys_of_the_registration_and_an_update_is_verified_with_those(host):
    assert crosshaul(host, "pin").exit_code == 0
    config = host / "etc/crosshaul/agent.toml"
    assert trusted(config).agent_id == AGENT
    claims, _ = verifier(config).verify(SIGNER.letter(an_update()))
    assert claims.command == an_update()


def test_without_pinned_keys_nothing_is_obeyed_and_the_order_does_not_lie_around(host):
    request = UpdateFiles(host / "var/lib/crosshaul").request
    request.write_bytes(SIGNER.letter(an_update()))
    done = update(host)
    assert done.exit_code != 0
    assert "crosshaul agent pin" in done.stderr
    assert not request.exists()


def test_with_nothing_to_do_it_does_nothing(host):
    assert update(host).exit_code == 0


def test_only_root_does_it(host, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = crosshaul(host, "update")
    assert done.exit_code != 0
    assert "crosshaul agents update NAME" in done.stderr


@pytest.fixture
def served(host):
    """Serves whatever lies in this folder; its address."""
    folder = host / "site"
    folder.mkdir()
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/install.sh"
        server.shutdown()
        thread.join()


def ordered(host, address, script=b""):
    (host / "site/install.sh").write_bytes(script)
    digest = hashlib.sha256(script).hexdigest()
    return an_update().model_copy(update={"script": address, "digest": digest})


def test_a_script_that_was_changed_after_the_order_was_signed_is_not_run(host, served):
    order = ordered(host, served, b"echo fine")
    (host / "site/install.sh").write_text(f"touch {host}/evil")
    with pytest.raises(HostError, match="is not what was published"):
        installer(Releases(host / "opt/crosshaul"), str(host))(order)
    assert not (host / "evil").exists()


def test_what_goes_wrong_while_installing_is_said_in_its_own_words(host, served):
    install = installer(Releases(host / "opt/crosshaul"), str(host))
    for script, words in (
        (b"echo no space left >&2; exit 1", "installing failed: no space left"),
        (b"echo /somewhere/else", "not beside the others"),
        (b"echo " + str(host / "opt/crosshaul/releases/x").encode(), "bin/crosshaul"),
    ):
        with pytest.raises((HostError, OSError), match=words):
            install(ordered(host, served, script))
    with pytest.raises(HostError, match="cannot be fetched"):
        install(an_update().model_copy(update={"script": "http://127.0.0.1:9/install.sh"}))


def test_a_service_that_does_not_start_does_not_stop_the_updater():
    restarter("false")()
