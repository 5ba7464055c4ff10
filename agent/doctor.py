"""`crosshaul agent doctor`: check one by one what the agent needs to work."""

import os
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from cryptography import x509

from agent import host_info, lock, state_disk
from agent.cloud import http
from agent.cloud.broker_path import examine_path
from agent.cloud.command_verifier import MAX_CLOCK_SKEW_S
from agent.cloud.messages import BrokerEndpoint
from agent.cloud.proxy import environment_proxy, proxy_for, use_configured
from agent.config import Config, MetricsConfig, RemoteConfig, RootConfig, read_config, split_endpoint
from agent.errors import HostError
from agent.identity.key_files import KeyFileError, read_key_file, require_authorities
from agent.identity.keys import REPLACE_KEYS, Keyring
from agent.identity.registration import Files, Registration, read_registration
from agent.metrics.otlp import read_headers
from agent.quarantine import Quarantine
from agent.tcp import BBR
from agent.updating.pinned_keys import PIN, trusted
from agent.updating.publisher_keys import PublisherKeys
from agent.updating.releases import Releases

NETWORK_TIMEOUT_S = 10
"""Seconds for one answer from the network."""
OLDEST_RCLONE = (1, 69)
TCP_SETTINGS = Path("/proc/sys/net/ipv4")
_RESTART = "restart the agent: it sets the file aside and begins an empty one"
_RENEW = "register again with `crosshaul agent register --force`"


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report."""

    name: str
    ok: bool
    found: str
    advice: str = ""


def examine(config_path: Path) -> Iterator[Check]:
    """Yield the result of every check; what cannot be checked because of an earlier failure is left out."""
    try:
        config = read_config(config_path)
    except HostError as error:
        yield Check("configuration", False, error.message, error.advice)
        return
    yield Check("configuration", True, str(config_path))
    files = Files(config.state)
    yield _check("state directory", _state_directory, files)
    yield _check("journal", _journal, files)
    yield _check("damaged state", _set_aside, files)
    for root in config.roots:
        yield _check(f"root {root.path}", _root, root)
    yield _check("rclone", _rclone)
    for remote in config.remotes:
        yield _check(f"remote {remote.name}", _remote, remote, config.rclone_config)
    yield _check("lane port", _lane_port, config, files)
    yield congestion_control(files.folder)
    yield _check("metrics", _metrics, config.metrics, files)
    try:
        registration = read_registration(files)
    except HostError as error:
        yield Check("registration", False, error.message, error.advice)
        return
    yield Check("registration", True, _describe(registration))
    yield _check("updates", _updates, config_path, registration)
    keys = _check("keys", _keys, files)
    yield keys
    yield _check("certificate", _certificate, files)
    if not keys.ok:
        return
    proxy = _check("proxy", _proxy, config)
    yield proxy
    if not proxy.ok:
        return
    yield _check("clock", _clock, registration)
    yield _check("broker", _broker, registration, files, config.network.mqtt_port)


def _describe(registration: Registration) -> str:
    return f"{registration.agent_id}, stage {registration.stage}, client id {registration.thing}"


def _check(name: str, examine_one: Callable[..., str], *arguments: object) -> Check:
    try:
        return Check(name, True, examine_one(*arguments))
    except HostError as error:
        return Check(name, False, error.message, error.advice)


def _journal(files: Files) -> str:
    if not files.journal.is_file():
        return "none yet"
    try:
        with closing(sqlite3.connect(f"{files.journal.as_uri()}?mode=ro", uri=True)) as opened:
            [found] = opened.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise HostError(f"{files.journal} is damaged: {found}", _RESTART)
            [unsent] = opened.execute("SELECT count(*) FROM outbox").fetchone()
    except sqlite3.Error as error:
        raise HostError(f"{files.journal} cannot be read: {error}", _RESTART) from error
    return f"intact, {unsent} unsent reports"


def _set_aside(files: Files) -> str:
    for problem in Quarantine(files.folder).problems():
        raise HostError(problem.message, problem.advice)
    return "none"


def _state_directory(files: Files) -> str:
    folder = files.folder
    if not folder.is_dir():
        raise HostError(f"{folder} does not exist", "register this host: that creates it")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise HostError(f"{folder} cannot be written to", "run as root or as the agent's user")
    if folder.stat().st_mode & 0o077:
        raise HostError(f"other users may access {folder}", f"chmod 700 {folder}")
    if error := state_disk.write_error(folder):
        raise state_disk.host_error(error, folder)
    return str(folder)


def _keys(files: Files) -> str:
    if fault := Keyring(files.folder).fault():
        raise HostError(fault, REPLACE_KEYS)
    try:
        if files.ca.exists():
            require_authorities(files.ca)
    except KeyFileError as error:
        raise HostError(str(error), REPLACE_KEYS) from error
    for path in files.secrets:
        if not os.access(path, os.R_OK):
            raise HostError(f"{path} is missing or not readable", f"run as the agent's user, or {_RENEW}")
        if path.stat().st_mode & 0o077:
            raise HostError(f"other users may read {path}", f"chmod 600 {path}")
    return "usable, and readable by their owner only"


def _updates(config_path: Path, registration: Registration) -> str:
    """Check whether this host's updater accepts updates from the control plane."""
    releases = Releases.here()
    if releases is None:
        return "manual: the agent was not installed by the script"
    if trusted(config_path).agent_id != registration.agent_id:
        raise HostError(f"the keys pinned by root are not those of {registration.agent_id}", PIN)
    PublisherKeys(config_path).trusted()
    return f"automatic, with a trial run; fallback release {releases.proven or releases.current}"


def _root(root: RootConfig) -> str:
    folder = root.folder
    if not folder.is_dir():
        raise HostError(f"{folder} does not exist", "create the directory, mount it, or correct agent.toml")
    wanted = os.R_OK | os.X_OK | (os.W_OK if root.access == "rw" else 0)
    if not os.access(folder, wanted):
        access = "read" if root.access == "ro" else "read and written"
        raise HostError(
            f"{folder} cannot be {access} by uid {os.geteuid()}", "give the agent's user access to it"
        )
    return f"{folder}, {root.access}"


def _remote(remote: RemoteConfig, rclone_config: Path) -> str:
    """Check whether rclone knows the remote; whether it answers is seen when it is used."""
    if not os.access(rclone_config, os.R_OK):
        raise HostError(
            f"{rclone_config} cannot be read", "write it with `rclone config`, readable by the agent's user"
        )
    if rclone_config.stat().st_mode & 0o077:
        raise HostError(f"other users may read {rclone_config}", f"chmod 600 {rclone_config}")
    if remote.name not in host_info.remote_types(rclone_config):
        raise HostError(f"{rclone_config} has no remote {remote.name}", "correct agent.toml or rclone.conf")
    return f"{remote.top}, {remote.access}"


def _rclone() -> str:
    version = host_info.rclone_version()
    if version is None:
        raise HostError("rclone is missing or does not run", "install rclone 1.69 or newer: S3 needs it")
    numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2] if part.isdecimal())
    if numbers < OLDEST_RCLONE:
        raise HostError(f"rclone {version} is too old", "install rclone 1.69 or newer")
    return f"{version}, {host_info.find_rclone()}"


def _lane_port(config: Config, files: Files) -> str:
    host, port = split_endpoint(config.lane.listen)
    if lock.holder(files.lock) is not None:
        return _listens("127.0.0.1" if host in {"", "0.0.0.0"} else host, port)  # noqa: S104 - compared
    _require_free(host, port, "lane.listen")
    return f"{config.lane.listen} is free; peers dial {', '.join(host_info.endpoints(config.lane))}"


def _require_free(host: str, port: int, setting: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise HostError(
                f"cannot listen on {host}:{port}: {error.strerror}", f"choose another {setting}"
            ) from error


def _metrics(metrics: MetricsConfig, files: Files) -> str:
    """Check where metrics are offered, and whether the collector to which they are pushed can be reached."""
    found = []
    if metrics.listen:
        found.append(_scraped(metrics.listen, files))
    if metrics.otlp_headers:
        read_headers(metrics.otlp_headers)
    if metrics.otlp:
        url = urlsplit(metrics.otlp)
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        try:
            socket.create_connection((host, port), NETWORK_TIMEOUT_S).close()
        except OSError as error:
            advice = "correct metrics.otlp in agent.toml, or start the collector"
            raise HostError(f"the collector at {host}:{port} does not answer: {error}", advice) from error
        found.append(f"pushed to {host}:{port}")
    return ", ".join(found) or "neither offered nor pushed"


def _scraped(listen: str, files: Files) -> str:
    host, port = split_endpoint(listen)
    if lock.holder(files.lock) is None:
        _require_free(host, port, "metrics.listen")
        return f"{listen} is free"
    address = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared
    url = f"http://[{address}]:{port}/metrics" if ":" in address else f"http://{address}:{port}/metrics"
    advice = "see its log (journalctl -u crosshaul-agent); restart it after a change of [metrics]"
    try:
        answer = httpx.get(url, timeout=NETWORK_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        raise HostError(f"the agent runs, but {url} does not answer: {error}", advice) from error
    if not (answer.is_success and answer.text.endswith("# EOF\n")):
        raise HostError(f"another program answers at {url}", "choose another metrics.listen")
    return f"offered at {url}"


def congestion_control(state: Path, kernel: Path = TCP_SETTINGS) -> Check:
    """Return by which algorithm the agent's lane connections send; without BBR, how to enable it.

    `state` belongs to the agent's user, who need not be the one who runs the doctor. `kernel` is the
    directory of TCP's settings. No host needs BBR, so the check never fails.
    """
    name = "congestion control"
    try:
        allowed = (kernel / "tcp_allowed_congestion_control").read_text().split()
        loaded = (kernel / "tcp_available_congestion_control").read_text().split()
        default = (kernel / "tcp_congestion_control").read_text().strip()
        is_root = state.stat().st_uid == 0
    except OSError as error:
        return Check(name, True, f"unknown: {error.strerror}")
    if BBR in allowed or (is_root and BBR in loaded):
        return Check(name, True, BBR)
    found = f"{default}; BBR is many times faster on long lines that lose packets"
    return Check(name, True, found, f"as root:\n{enable_bbr(allowed)}")


def enable_bbr(allowed: Iterable[str]) -> str:
    """Return the two commands that let every process use BBR from now on, and after a restart of the host."""
    return (
        "echo tcp_bbr > /etc/modules-load.d/crosshaul.conf && modprobe tcp_bbr\n"
        f"echo 'net.ipv4.tcp_allowed_congestion_control = {' '.join(allowed)} bbr'"
        " > /etc/sysctl.d/60-crosshaul.conf && sysctl -p /etc/sysctl.d/60-crosshaul.conf"
    )


def _listens(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), NETWORK_TIMEOUT_S).close()
    except OSError as error:
        raise HostError(
            f"the agent runs, but {host}:{port} does not answer",
            "see its log (journalctl -u crosshaul-agent)",
        ) from error
    return f"{host}:{port} answers"


def _certificate(files: Files) -> str:
    try:
        found = x509.load_pem_x509_certificate(read_key_file(files.device_certificate).encode())
    except (KeyFileError, ValueError) as error:
        raise HostError(f"{files.device_certificate} cannot be used: {error}", _RENEW) from error
    now, end = datetime.now(UTC), found.not_valid_after_utc
    if not found.not_valid_before_utc <= now <= end:
        since = found.not_valid_before_utc
        raise HostError(
            f"valid from {since:%Y-%m-%d} to {end:%Y-%m-%d} only", f"check the clock, or {_RENEW}"
        )
    return f"valid until {end:%Y-%m-%d}"


def _clock(registration: Registration) -> str:
    """Compare the clock with the API's Date header, which is accurate to a second."""
    try:
        with http.client(registration.api_url) as client:
            date = client.get("health").headers.get("Date", "")
        skew = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except httpx.HTTPError as error:
        raise HostError(
            f"the API does not answer: {error}", f"check the network path to {registration.api_url}"
        ) from error
    except (TypeError, ValueError):
        return "unknown: the API sends no Date header"
    if abs(skew) > MAX_CLOCK_SKEW_S:
        raise HostError(
            f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}", "set the clock: timedatectl status"
        )
    return f"within {abs(skew):.0f} s of the API's"


def _proxy(config: Config) -> str:
    """Use the proxy from here on, and check whether it accepts connections."""
    use_configured(config.network)
    proxy = environment_proxy()
    if proxy is None:
        return "none: AWS is reached directly"
    try:
        socket.create_connection((proxy.host, proxy.port), NETWORK_TIMEOUT_S).close()
    except OSError as error:
        advice = "correct network.proxy in agent.toml, or allow outgoing TCP to it"
        raise HostError(f"{proxy} does not answer: {error}", advice) from error
    return f"{proxy}, {'with' if proxy.user is not None else 'without'} credentials"


def _broker(registration: Registration, files: Files, own_port: int | None) -> str:
    """Connect to the broker as the agent does, with its certificate and through its proxy."""
    return examine_path(
        BrokerEndpoint(
            host=registration.mqtt_host,
            port=own_port or registration.mqtt_port,
            client_id=registration.thing,
            certificate=files.device_certificate,
            key=files.device_key,
            ca=files.ca if files.ca.exists() else None,
            proxy=proxy_for(registration.mqtt_host),
        )
    )
