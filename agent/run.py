"""Build and run the agent on a host: the command line's `register` and `run` end here."""

import asyncio
import logging
import os
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from agent import VERSION, host_info, interpreter, lock, logs, state_disk, systemd
from agent.cloud.messages import BrokerConnection, BrokerEndpoint
from agent.cloud.proxy import proxy_for, use_configured
from agent.command_keys import CommandKeys
from agent.config import Config, read_config, split_endpoint
from agent.errors import HostError
from agent.files.browse import Browser
from agent.files.roots import Roots
from agent.hops.attempt import Movers
from agent.hops.journal import Journal
from agent.identity import lane_certificate
from agent.identity.api_address import ApiAddress
from agent.identity.key_files import KeyFileError, require_authorities
from agent.identity.keys import REPLACE_KEYS, Generation, Keyring
from agent.identity.registration import Files, Registration, read_registration
from agent.identity.rotation import Rotation, RotationSchedule
from agent.lane.peer_paths import PeerPathCache
from agent.lane.server import LaneServer
from agent.movers import mover_for
from agent.pull.bandwidth import BandwidthSchedule, SharedBandwidth
from agent.pull.manifest_outbox import ManifestOutbox, ManifestUploader
from agent.pull.mover import Credentials, HostResources
from agent.pull.pull import discard_abandoned, discard_hop
from agent.quarantine import Quarantine
from agent.remotes import Remotes
from agent.service import Dependencies, Service
from agent.state_disk import Reserve
from agent.status import Status
from agent.updating.releases import Releases
from agent.updating.state_files import UpdateFiles
from agent.updating.update_jobs import Installation, UpdateJobs
from events.base import UpdateId
from events.topics import Topics
from events.updates import UpdateOrderView

if TYPE_CHECKING:
    from agent.cloud.api import HopCredentials
    from agent.cloud.manifest_upload import ManifestApi
    from agent.rclone.browse import RemoteBrowser
    from events.views import CredentialsView

P = ParamSpec("P")
Result = TypeVar("Result")

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 8.0
"""Seconds after a request to stop at which the process ends, even if a thread still waits for a disk.

Nothing is lost: the journal is consistent, as after a power cut.
"""


SPACE_POLL_INTERVAL_S = 2.0
"""Seconds between two attempts to open the state directory on a full disk."""


def register(
    config: Config, api_url: str, token: str, *, name: str | None = None, force: bool = False
) -> Registration:
    """Make this host an agent.

    Raises HostError, which says what to do.
    """
    from agent.identity import enrollment  # keeps HTTP and certificates out of a running agent

    use_configured(config.network)

    def describe(staged: Files) -> dict[str, object]:
        lane_certificate.ensure(staged.folder)
        return host_info.describe(config, staged.lane_certificate.read_text())

    host = enrollment.HostEnrollment(config.state, describe)
    return host.register(api_url, token, name=name, force=force)


def run(config_path: Path, space_poll_interval_s: float = SPACE_POLL_INTERVAL_S) -> None:
    """Run the agent until it is stopped or removed.

    Raises HostError, which says what to correct; PassingHostError if nothing has to be.
    """
    _leave_no_core()
    interpreter.tune()
    config = read_config(config_path)
    memory = logs.set_up(config.log_level)
    use_configured(config.network)
    files = Files(config.state)
    registration = read_registration(files)
    threading.excepthook = _log_thread
    with ExitStack() as opened:
        journal = _open_state(files, registration, opened, space_poll_interval_s)
        asyncio.run(_serve(config_path, config, files, registration, journal, memory))
        if journal.retired:
            log.warning("removed by the control plane; it will not connect again")


def _open_state(
    files: Files, registration: Registration, opened: ExitStack, space_poll_interval_s: float
) -> Journal:
    """Lock the state directory, mend in it what can be mended, and open the journal; `opened` closes both.

    It waits for space on a full disk, since that may come at any time.

    Raises:
        PassingHostError: a fault that may pass, such as one of the disk: a later start may succeed.
        HostError: somebody must put the state directory right; until then no start can succeed.
    """
    is_reported = False
    while True:
        try:
            with ExitStack() as attempt:
                journal = _try_to_open_state(files, registration, attempt)
                opened.push(attempt.pop_all())
                return journal
        except KeyFileError as error:
            raise HostError(str(error), REPLACE_KEYS) from error
        except (OSError, sqlite3.Error) as error:
            if state_disk.is_full(error, files.folder):
                if not is_reported:
                    _report_full_disk(files.folder)
                    is_reported = True
                time.sleep(space_poll_interval_s)
            elif lasting := state_disk.lasting_fault(error, files.folder, files.journal):
                raise state_disk.host_error(lasting, files.folder) from error
            else:
                raise state_disk.passing_error(error, files.folder) from error


def _report_full_disk(folder: Path) -> None:
    log.error("waiting for space", extra={"reason": f"the disk of {folder} is full"})
    systemd.notify_ready()  # otherwise systemd would end the start and repeat it


def _try_to_open_state(files: Files, registration: Registration, opened: ExitStack) -> Journal:
    """Do once what `_open_state` does. Raises HostError, KeyFileError, OSError, sqlite3.Error."""
    Reserve(files.folder).give_back_if_needed()
    if (error := state_disk.write_error(files.folder)) and state_disk.is_full(error, files.folder):
        raise error
    opened.enter_context(lock.exclusive(files.lock))
    Keyring(files.folder).repair()
    if files.ca.exists():
        require_authorities(files.ca)
    for folder in (files.folder / "hops", files.folder / "manifests"):
        if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
            Quarantine(files.folder).move(folder, "it is not a directory")
    Status(files.status).delete_file()  # left behind by a killed process
    return opened.enter_context(_journal(files, registration))


def _log_thread(failed: threading.ExceptHookArgs) -> None:
    """Log the exception that ended a thread."""
    if failed.exc_value is not None and failed.exc_type is not SystemExit:
        name = failed.thread.name if failed.thread else None
        log.error("thread failed", exc_info=failed.exc_value, extra={"thread_of": name})


def _leave_no_core() -> None:
    """Disable core dumps of the agent and its rclone: their memory holds keys."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextmanager
def _journal(files: Files, registration: Registration) -> Iterator[Journal]:
    journal = Journal(files.journal, registration.mark)
    journal.reserve.fill()
    try:
        if journal.retired:
            raise HostError(
                "this agent was removed by the control plane",
                "to bring it back, get a new token and run `crosshaul agent register --force`",
            )
        yield journal
    finally:
        journal.close()


async def _serve(
    config_path: Path,
    config: Config,
    files: Files,
    registration: Registration,
    journal: Journal,
    memory: logs.LogMemory,
) -> None:
    from agent.cloud.mqtt_link import MqttLink  # awscrt takes 10 MB: imported only when needed

    status = Status(files.status)
    roots = Roots(config.roots, files.folder)
    manifests = ManifestOutbox(files.folder / "manifests")
    bandwidth = SharedBandwidth(BandwidthSchedule(config.bandwidth_limit, config.bandwidth_windows))
    remotes = Remotes(config.remotes, config.rclone_config)
    host = HostResources(roots, files.folder, bandwidth, remotes, manifests)
    browse_remote = _lazily(partial(_remote_browser, registration, remotes))
    browser = Browser(config.roots, files.folder, browse_remote)
    keyring = Keyring(files.folder)
    endpoint = partial(_endpoint, files, registration, config.network.mqtt_port)
    api_address = ApiAddress(registration, files)
    credentials = _LazyCredentials(partial(_credentials, keyring, registration, api_address))
    upload_manifest = _lazily(partial(_manifest_api, keyring, registration, api_address))
    with _lane(config, files, keyring, host, credentials) as lane:
        async with MqttLink(endpoint(keyring.current), *_subscriptions(registration)) as link:
            service = Service(
                Dependencies(
                    config=config,
                    registration=registration,
                    journal=journal,
                    link=link,
                    lane=lane,
                    movers=_movers(keyring, host, credentials, lane),
                    browse=browser,
                    read_log=memory.excerpt,
                    status=status,
                    rotation=Rotation(
                        keyring,
                        link,
                        endpoint=endpoint,
                        renew=partial(_renew, registration, api_address),
                        registered_at=registration.registered_at,
                        schedule=RotationSchedule(max_age=timedelta(days=config.rotate_after_days)),
                    ),
                    command_keys=CommandKeys(registration, files, config_path),
                    api_address=api_address,
                    updates=_update_jobs(
                        config_path,
                        files,
                        link,
                        registration,
                        partial(_fetch_order, registration, keyring, api_address),
                    ),
                    capabilities=await asyncio.to_thread(host_info.capabilities, config),
                    active_pulls=host.active_pulls,
                    deliver_manifests=ManifestUploader(manifests, upload_manifest).upload_manifests,
                    peer_paths=lane.peer_paths,
                    quarantine=Quarantine(files.folder),
                    discard_hop=partial(discard_hop, roots, files.folder),
                    discard_abandoned=partial(_discard_abandoned, roots, files.folder, journal),
                )
            )
            _handle_signals(service, lambda: _reload(config_path, service, browser, host))
            systemd.notify_ready()
            log.info("agent up", extra={"agent_id": registration.agent_id, "version": VERSION})
            await _until_stopped(service, status, files)


async def _discard_abandoned(roots: Roots, state: Path, journal: Journal) -> None:
    await asyncio.to_thread(discard_abandoned, roots, state, _OpenHops(journal))


class _OpenHops:
    """The ids of the hops that are open at each moment. For threads: the journal is the loop's."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._loop = asyncio.get_running_loop()

    def __contains__(self, hop_id: object) -> bool:
        try:
            return asyncio.run_coroutine_threadsafe(self._is_open(hop_id), self._loop).result()
        except (RuntimeError, CancelledError, sqlite3.Error):  # the agent ends: nothing is removed any more
            return True

    async def _is_open(self, hop_id: object) -> bool:
        return any(hop.hop_id == hop_id for hop in self._journal.open_hops())


async def _until_stopped(service: Service, status: Status, files: Files) -> None:
    """Run the service. Raises HostError if the journal is at fault."""
    try:
        await service.run()
    except BaseException as error:
        _exit_after(STOP_TIMEOUT_S, 1)
        if fault := state_disk.journal_error(error, files.folder, files.journal):
            log.exception("the agent ends", extra={"reason": fault.message, "advice": fault.advice})
            raise fault from error
        log.exception("unexpected error in the agent's core; the process ends and must be restarted")
        raise
    finally:
        status.delete_file()
    _exit_after(STOP_TIMEOUT_S, 0)


def _handle_signals(service: Service, reload: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload)
    if systemd.take_held_reload():
        reload()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, service, number)


def _stop(service: Service, number: signal.Signals) -> None:
    log.info("stopping on a signal", extra={"signal": number.name})
    _exit_after(STOP_TIMEOUT_S, 0)
    service.stop()


def _reload(config_path: Path, service: Service, browser: Browser, host: HostResources) -> None:
    """Apply changed roots and remotes to new work; other settings need a restart."""
    try:
        config = read_config(config_path)
    except HostError as error:
        log.warning("roots stay as they were", extra={"reason": error.message, "advice": error.advice})
        return
    service.use_config(config)
    browser.reload(config.roots)
    host.roots.reload(config.roots)
    host.remotes.reload(config)
    log.info("roots read again", extra={"roots": ",".join(root.path for root in config.roots)})


def _exit_after(seconds: float, code: int) -> None:
    """End the process after some seconds: a thread that waits for a disk cannot be canceled."""
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()


@contextmanager
def _lane(
    config: Config,
    files: Files,
    keyring: Keyring,
    host: HostResources,
    credentials: Credentials,
) -> Iterator[LaneServer]:
    address, port = split_endpoint(config.lane.listen)
    peer_paths = PeerPathCache(files.folder / "routes.json")
    lane = LaneServer(keyring, host, (address, port), peer_paths, credentials)
    try:
        lane.listen()
    except OSError as error:
        raise HostError(
            f"cannot listen on {config.lane.listen}: {error.strerror}", "choose another lane.listen"
        ) from error
    try:
        yield lane
    finally:
        lane.shut_down()


def _movers(keyring: Keyring, host: HostResources, credentials: Credentials, lane: LaneServer) -> Movers:
    return lambda move: mover_for(move, host=host, identities=keyring, credentials=credentials, lane=lane)


def _lazily(make: Callable[[], Callable[P, Result]]) -> Callable[P, Result]:
    """Return a function that is made at its first call, so that an idle agent loads no modules for it."""
    cached = cache(make)

    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        return cached()(*args, **kwargs)

    return call


class _LazyCredentials:
    """Issues credentials by what is made at the first call, as `_lazily` does."""

    def __init__(self, make: "Callable[[], HopCredentials]") -> None:
        self._issuer = cache(make)

    def __call__(self, hop_id: str, /, refused: "CredentialsView | None" = None) -> "CredentialsView":
        return self._issuer()(hop_id, refused=refused)

    def forget(self, hop_id: str, /) -> None:
        self._issuer().forget(hop_id)


def _credentials(keyring: Keyring, registration: Registration, api: ApiAddress) -> "HopCredentials":
    from agent.cloud.api import HopCredentials

    return HopCredentials(registration.agent_id, lambda: keyring.api_keys, api.client())


def _manifest_api(keyring: Keyring, registration: Registration, api: ApiAddress) -> "ManifestApi":
    from agent.cloud.manifest_upload import ManifestApi

    return ManifestApi(registration.agent_id, lambda: keyring.api_keys, api.client())


def _remote_browser(registration: Registration, remotes: Remotes) -> "RemoteBrowser":
    from agent.rclone.browse import RemoteBrowser

    return RemoteBrowser(registration.agent_id, remotes)


def _update_jobs(
    config: Path,
    files: Files,
    link: BrokerConnection,
    registration: Registration,
    fetch_order: Callable[[UpdateId], UpdateOrderView],
) -> UpdateJobs:
    """Return the agent's side of updates; the doctor and HTTP are imported when an update arrives."""

    def failing_checks() -> dict[str, str]:
        from agent.doctor import examine

        return {check.name: check.found for check in examine(config) if not check.ok}

    host = Installation(Releases.here(), UpdateFiles(files.folder), failing_checks)
    return UpdateJobs(link, registration.thing, Topics(registration.stage), host, fetch_order)


def _fetch_order(
    registration: Registration, keyring: Keyring, address: ApiAddress, update_id: UpdateId
) -> UpdateOrderView:
    from agent.cloud import api

    return api.fetch_update_order(address.url, registration.agent_id, keyring.api_keys, update_id)


def _renew(registration: Registration, api: ApiAddress, keyring: Keyring) -> Generation:
    from agent.identity import enrollment  # imported only when needed

    with api.client() as client:
        return enrollment.renew(keyring, registration.agent_id, client)


def _endpoint(
    files: Files, registration: Registration, own_port: int | None, keys: Generation
) -> BrokerEndpoint:
    """Return the broker's endpoint; `own_port` is the port that this host has chosen."""
    return BrokerEndpoint(
        host=registration.mqtt_host,
        port=own_port or registration.mqtt_port,
        client_id=registration.thing,
        certificate=keys.device_certificate,
        key=keys.device_key,
        ca=files.ca if files.ca.exists() else None,
        proxy=proxy_for(registration.mqtt_host),
    )


def _subscriptions(registration: Registration) -> tuple[str, tuple[str, ...]]:
    """Return the topic of commands, and the topics of IoT Jobs."""
    topics, thing = Topics(registration.stage), registration.thing
    return topics.commands(thing), (topics.job_notifications(thing), topics.jobs_response(thing))
