"""install.sh: it refuses what it cannot do before it changes anything."""

import hashlib
import io
import os
import platform
import re
import subprocess
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.cloud.proxy import read_credentials
from agent.config import read_config
from agent.doctor import enable_bbr
from infra.kit import make
from tests.support.connect_proxy import ConnectProxy
from tests.support.kits import dependencies
from tests.support.tls_front import TlsFront
from tests.support.waiting import HANG_TIMEOUT_S

SCRIPT = Path(__file__).parents[4] / "agent/install.sh"
SOURCE = ("--package", "x.whl", "--lock", "agent.txt")
ROOTED = (*SOURCE, "--root", "/data:ro")
CONSOLE = "d111111abcdef8.cloudfront.net"


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], capture_output=True, text=True, timeout=HANG_TIMEOUT_S, check=False
    )


def test_help_names_every_option_and_no_code():
    process = install("--help")
    assert process.returncode == 0
    for option in (
        "--package",
        "--lock",
        "--api",
        "--root",
        "--listen",
        "--user",
        "--prefix",
        "--dry-run",
        "--token-file",
        "--name",
        "--release-key",
        "--proxy",
        "--proxy-credentials",
        "--mqtt-port",
    ):
        assert option in process.stdout
    assert "set -e" not in process.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "--package is missing"),
        (("--package", "x.whl"), "--lock is missing"),
        (("--package",), "--package needs a value"),
        (("--token", "secret"), "unknown option --token"),
        (SOURCE, "name at least one --root"),
        ((*SOURCE, "--root", "data=rw"), "write it as /absolute/path:ro or :rw"),
        ((*SOURCE, "--root", "/data"), "write it as /absolute/path:ro or :rw"),
        ((*SOURCE, "--root", '/da"ta=rw'), "quotes or backslashes"),
        (
            (*SOURCE, "--root", "/data:ro", "--api", "http://api.example.org/v1"),
            "in plain text; use https://",
        ),
        ((*SOURCE, "--root", "/data:ro", "--api", "http://localhost.example.org"), "in plain text"),
        ((*SOURCE, "--root", "/data:ro", "--api", "http://127.0.0.1@example.org/v1"), "in plain text"),
        ((*SOURCE, "--root", "/data:ro", "--api", "ftp://127.0.0.1/v1"), "in plain text"),
        ((*ROOTED, "--proxy", "http://ann:secret@p.example:3128"), "user and password into a file"),
        ((*ROOTED, "--proxy", "socks5://p.example:1080"), "write it as http://HOST:PORT"),
        ((*ROOTED, "--proxy", 'http://p.example:1"\nroots = 1'), "write it as http://HOST:PORT"),
        ((*ROOTED, "--proxy-credentials", "/etc/passwd"), "belongs to --proxy"),
        ((*ROOTED, "--proxy", "http://p:1", "--proxy-credentials", "/none"), "/none cannot be read"),
        ((*ROOTED, "--proxy", "http://p:1", "--proxy-credentials", "/dev/null"), "no credentials of a proxy"),
        ((*ROOTED, "--mqtt-port", "1883"), "write 443 or 8883"),
        ((*SOURCE, "--root", "/data:ro", "--api", "https://api.example.org/v1"), "x.whl does not exist"),
        ((*SOURCE, "--root", "/data:ro", "--api", "http://a.localhost:4566/v1"), "x.whl does not exist"),
        ((*SOURCE, "--root", "/data:ro", "--api", "http://[::1]:4566/v1"), "x.whl does not exist"),
    ],
)
def test_wrong_arguments_are_reported_and_nothing_is_created(tmp_path, arguments, text):
    process = install("--prefix", str(tmp_path), *arguments)
    assert process.returncode == 1
    assert text in process.stderr
    assert "secret" not in process.stderr
    assert list(tmp_path.iterdir()) == []


BACKEND = """
from pathlib import Path
Path({marker!r}).touch()


def build_wheel(*_):
    raise SystemExit("built")
"""


def test_source_packages_are_not_built(tmp_path):
    """Building one runs its code, here as root: the lock file's digest says what it is, not what it does."""
    marker, prefix = tmp_path / "ran", tmp_path / "prefix"
    files = {
        "evil-1/PKG-INFO": "Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
        "evil-1/pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
        ),
        "evil-1/own.py": BACKEND.format(marker=str(marker)),
    }
    source = tmp_path / "evil-1.tar.gz"
    with tarfile.open(source, "w:gz") as packed:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            packed.addfile(entry, io.BytesIO(text.encode()))
    lock, package = tmp_path / "agent.txt", tmp_path / "crosshaul-1-py3-none-any.whl"
    lock.write_text(f"evil==1 --hash=sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}\n")
    package.touch()
    process = subprocess.run(
        [SCRIPT, "release", "--prefix", prefix, "--package", package, "--lock", lock],
        env=os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=HANG_TIMEOUT_S,
        check=False,
    )
    assert process.returncode != 0
    assert "evil" in process.stderr
    assert not marker.exists()
    assert list((prefix / "opt/crosshaul/releases").iterdir()) == []


@pytest.fixture
def site(tmp_path):
    """Serve a folder; yield its URL and the folder."""
    folder = tmp_path / "site"
    folder.mkdir()
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


def test_rclone_of_its_own_release_takes_the_place_of_the_packaged_one(tmp_path, site):
    url, folder = site
    program = b"#!/bin/sh\necho rclone\n"
    kit = make(url, ("A" * 43,), dependencies(tmp_path), rclone={platform.machine(): program, "other": b""})
    for name, content in kit.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    def install_release():
        return subprocess.run(
            ["bash", folder / kit.script, "release", "--prefix", tmp_path / "prefix"],
            env=os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=HANG_TIMEOUT_S,
            check=False,
        )

    done = install_release()
    assert done.returncode == 0, done.stderr
    installed = Path(done.stdout.strip(), "bin/rclone")
    assert installed.read_bytes() == program
    assert os.access(installed, os.X_OK)

    [served] = folder.glob(f"install/*/rclone-{platform.machine()}")
    served.write_bytes(program + b"# ours")
    assert "has another digest than the published file" in install_release().stderr


def test_behind_a_proxy_everything_is_fetched_through_it_and_the_agent_is_set_up_for_it(tmp_path, site):
    url, folder = site
    kit = make(f"https://{CONSOLE}", ("A" * 43,), dependencies(tmp_path))
    for name, content in kit.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    given, prefix = tmp_path / "given", tmp_path / "prefix"
    given.write_text("server-b:p@ss/word\n")
    with (
        TlsFront(tmp_path / "front", int(url.rpartition(":")[2]), CONSOLE) as front,
        ConnectProxy({(CONSOLE, 443): front.port}, "server-b:p@ss/word") as proxy,
    ):

        def install_from_site(*options: str) -> str:
            process = subprocess.run(
                ["bash", folder / kit.script, "--prefix", prefix, *options],
                env=os.environ
                | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "CURL_CA_BUNDLE": str(front.ca)},
                capture_output=True,
                text=True,
                timeout=HANG_TIMEOUT_S,
                check=False,
            )
            return process.stdout + process.stderr

        options = ("--proxy", proxy.url, "--proxy-credentials", str(given), "--mqtt-port", "443")
        first = install_from_site("--root", f"{tmp_path}:ro", *options)
        assert (prefix / "etc/crosshaul/agent.toml").exists(), first
        downloads = len(proxy.tunnels)
        assert downloads
        install_from_site()
        assert len(proxy.tunnels) == 2 * downloads, "the second time by agent.toml"
        assert proxy.refused == []
    config = read_config(prefix / "etc/crosshaul/agent.toml")
    assert (config.network.proxy, config.network.mqtt_port) == (proxy.url, 443)
    assert config.network.proxy_credentials == prefix / "etc/crosshaul/proxy-credentials"
    assert read_credentials(config.network.proxy_credentials) == ("server-b", "p@ss/word")


def test_the_script_is_valid_bash():
    subprocess.run(["bash", "-n", SCRIPT], check=True)


@pytest.mark.parametrize(("allowed", "offered"), [("reno cubic", True), ("reno bbr", False), (None, False)])
def test_bbr_is_offered_where_the_agent_may_not_use_it(tmp_path, allowed, offered):
    """By the commands that the doctor names, too."""
    if allowed:
        (tmp_path / "allowed").write_text(f"{allowed}\n")
    functions = re.findall(r"^(?:say|offer_bbr)\(\) \{.*?\}$", SCRIPT.read_text(), re.DOTALL | re.MULTILINE)
    process = subprocess.run(
        ["bash", "-euc", "\n".join([*functions, 'offer_bbr "$1"']), "bash", tmp_path / "allowed"],
        capture_output=True,
        text=True,
        timeout=HANG_TIMEOUT_S,
        check=True,
    )
    commands = [line.removeprefix("·   ") for line in process.stderr.splitlines()[1:]]
    assert commands == (enable_bbr(allowed.split()).splitlines() if offered else [])
