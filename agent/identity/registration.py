"""The files that a registration leaves in the state directory, and reading them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent import state_disk
from agent.errors import HostError, PassingHostError
from agent.files.disk import atomic_write
from agent.identity.keys import in_use
from events.base import AgentId, Instant, Message, ThingName

SECRET = 0o600
_RECORD = "registration.json"


class RegistrationOutdatedError(HostError):
    """The record is of an earlier version of the agent, which did not store its name in IoT Core."""

    def __init__(self, record: Path) -> None:
        super().__init__(
            f"{record} was written by an earlier version, and this one cannot connect with it",
            "enroll this host again: an administrator removes the agent (`crosshaul agents remove NAME`) and "
            "makes a new token (`crosshaul agents enroll NAME`); then `crosshaul agent register --api URL "
            "--force` here, and `crosshaul agent pin` as root",
        )


class Registration(Message):
    """The contents of registration.json: the registration without keys and certificates."""

    agent_id: AgentId
    thing: ThingName
    """The agent's name in IoT Core and its MQTT client id, as assigned by the control plane."""
    api_url: str
    stage: str
    mqtt_host: str
    mqtt_port: int
    verification_keys: tuple[dict[str, Any], ...]
    registered_at: Instant

    @property
    def mark(self) -> str:
        """Return what distinguishes this registration of the host from others, whatever its certificate."""
        return f"{self.agent_id} {self.registered_at.isoformat()}"


@dataclass(frozen=True)
class Files:
    """Paths in the state directory."""

    folder: Path

    @property
    def registration_file(self) -> Path:
        """Return the path of the record. It is written last: it shows that everything else is there."""
        return self.folder / _RECORD

    @property
    def keys(self) -> Path:
        """Return the folder of the keys in use (`agent.identity.keys`)."""
        return self.folder / in_use(self.folder)

    @property
    def device_key(self) -> Path:
        return self.keys / "device.key"

    @property
    def device_certificate(self) -> Path:
        return self.keys / "device.pem"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def api_key(self) -> Path:
        return self.keys / "api.key"

    @property
    def lane_key(self) -> Path:
        return self.keys / "lane.key"

    @property
    def lane_certificate(self) -> Path:
        return self.keys / "lane.pem"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.db"

    @property
    def lock(self) -> Path:
        return self.folder / "agent.lock"

    @property
    def status(self) -> Path:
        return self.folder / "status.json"

    @property
    def secrets(self) -> tuple[Path, ...]:
        """Return the paths of all private keys."""
        return (self.device_key, self.lane_key, self.api_key)


def amend(files: Files, registration: Registration, **changes: object) -> Registration:
    """Change fields of this host's registration and save it; return it.

    The other fields are those on the disk: several parts of the agent change it. If the record there cannot
    be used, it is written again from `registration`. Raises OSError if it cannot be read now, or saved.
    """
    try:
        known = read_registration(files)
    except PassingHostError as error:  # the copy may be older than the file, which is still good
        raise OSError(error.message) from error
    except HostError:
        known = registration
    amended = known.model_copy(update=changes)
    atomic_write(files.registration_file, amended.model_dump_json(indent=2).encode(), SECRET)
    return amended


def is_registered(files: Files) -> bool:
    """Return whether this host has a registration."""
    return files.registration_file.exists()


def read_registration(files: Files) -> Registration:
    """Return this host's registration.

    Raises:
        PassingHostError: a fault of the disk, which may pass.
        HostError: it is not registered, or its record cannot be used until a person does something.
    """
    record = files.registration_file
    try:
        if record.exists() and not record.is_file():
            raise HostError(
                f"{record} is not a file",
                "move it away, then register again with `crosshaul agent register --force`",
            )
        return Registration.model_validate_json(record.read_bytes())
    except FileNotFoundError:
        raise HostError(
            f"this host is not registered: {files.registration_file} does not exist",
            "ask an administrator for a token, then run `crosshaul agent register --api URL`",
        ) from None
    except OSError as error:
        raise state_disk.read_error(error, record) from error
    except ValidationError as error:
        if [detail["loc"] for detail in error.errors() if detail["type"] == "missing"] == [("thing",)]:
            raise RegistrationOutdatedError(files.registration_file) from error
        raise HostError(
            f"{files.registration_file} is damaged", "register again with `crosshaul agent register --force`"
        ) from error
