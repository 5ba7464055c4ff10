"""What registering leaves in the state directory, and reading it back."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.errors import HostError
from agent.identity.keys import in_use
from events.base import AgentId, Instant, Message, ThingName

SECRET = 0o600
_RECORD = "registration.json"


class RegistrationOutdatedError(HostError):
    """The record is of an earlier version of the agent, which did not know its name in IoT Core."""

    def __init__(self, record: Path) -> None:
        super().__init__(
            f"{record} was written by an earlier version, and this one cannot connect with it",
            "enroll this host again: an administrator removes the agent (`crosshaul agents remove NAME`) and "
            "makes a new token (`crosshaul agents enroll NAME`); then `crosshaul agent register --api URL "
            "--force` here, and `crosshaul agent pin` as root",
        )


class Registration(Message):
    """registration.json: everything about the registration that is no key and no certificate."""

    agent_id: AgentId
    thing: ThingName
    """Its name in IoT Core and its MQTT client id, as the control plane said."""
    api_url: str
    stage: str
    mqtt_host: str
    mqtt_port: int
    verification_keys: tuple[dict[str, Any], ...]
    registered_at: Instant

    @property
    def mark(self) -> str:
        """Tells one registration of this host from the next, whatever certificate it uses."""
        return f"{self.agent_id} {self.registered_at.isoformat()}"


@dataclass(frozen=True)
class Files:
    """The state directory's files, by what they are for."""

    folder: Path

    @property
    def record(self) -> Path:
        """Written last: it is the sign that everything else is there."""
        return self.folder / _RECORD

    @property
    def keys(self) -> Path:
        """The generation in use (`agent.identity.keys`)."""
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
        return (self.device_key, self.lane_key, self.api_key)

    def former_mark(self) -> str:
        """What a journal was marked with before certificates could be replaced."""
        return hashlib.sha256(self.device_certificate.read_bytes()).hexdigest()


def is_registered(files: Files) -> bool:
    return files.record.exists()


def read_registration(files: Files) -> Registration:
    """HostError if this host is not registered or its record cannot be used."""
    try:
        return Registration.model_validate_json(files.record.read_bytes())
    except FileNotFoundError:
        raise HostError(
            f"this host is not registered: {files.record} is not there",
            "ask an administrator for a token, then run `crosshaul agent register --api URL`",
        ) from None
    except OSError as error:
        raise HostError(
            f"{files.record} cannot be read: {error.strerror}", "run as root or as the agent's user"
        ) from error
    except ValidationError as error:
        if [one["loc"] for one in error.errors() if one["type"] == "missing"] == [("thing",)]:
            raise RegistrationOutdatedError(files.record) from error
        raise HostError(
            f"{files.record} is damaged", "register again with `crosshaul agent register --force`"
        ) from error
