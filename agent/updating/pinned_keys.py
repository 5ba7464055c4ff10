"""The keys that root trusts for updates, stored where the agent's account cannot write.

They are taken from the registration once, when the host is installed. A replacement must be signed with one
of them.
"""

from pathlib import Path

from pydantic import ValidationError

from agent.cloud.command_verifier import CommandVerifier
from agent.errors import HostError
from agent.files.disk import atomic_write
from agent.identity.registration import Files, Registration, read_registration
from events.commands import PublicKey

PIN = "as root: crosshaul agent pin"
_WORLD_READABLE = 0o644


def pinned(config: Path) -> Path:
    """Return the path of the pinned keys, beside agent.toml."""
    return config.parent / "trusted.json"


def pin(config: Path, state: Path) -> Registration:
    """Pin the keys that this host was registered with.

    Raises HostError if the host is not registered.
    """
    registration = read_registration(Files(state))
    _write(config, registration)
    return registration


def pin_others(config: Path, keys: tuple[PublicKey, ...]) -> None:
    """Replace the pinned keys by new ones, after these were verified.

    Raises HostError if nothing is pinned.
    """
    new_keys = tuple(key.model_dump() for key in keys)
    _write(config, trusted(config).model_copy(update={"verification_keys": new_keys}))


def _write(config: Path, registration: Registration) -> None:
    atomic_write(pinned(config), registration.model_dump_json(indent=2).encode(), _WORLD_READABLE)


def trusted(config: Path) -> Registration:
    """Return the pinned registration.

    Raises HostError if nothing is pinned.
    """
    path = pinned(config)
    try:
        return Registration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise HostError(f"{path} does not exist, so updates are refused", PIN) from None
    except (OSError, ValidationError) as error:
        raise HostError(f"{path} cannot be used: {error}", PIN) from error


def verifier(config: Path) -> CommandVerifier:
    """Return a verifier with the pinned keys.

    Raises HostError if nothing is pinned.
    """
    found = trusted(config)
    return CommandVerifier(found.agent_id, found.verification_keys)
