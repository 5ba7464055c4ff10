"""The keys that root trusts for updates: taken over once, when the host is installed, to where the agent's
own account cannot write. Others take their place when one of them has signed that.
"""

from pathlib import Path

from pydantic import ValidationError

from agent.cloud.command_verifier import CommandVerifier
from agent.errors import HostError
from agent.files.disk import atomic_write
from agent.identity.registration import Files, Registration, read_registration
from events.commands import PublicKey

PIN = "as root: crosshaul agent pin"
_READABLE = 0o644


def pinned(config: Path) -> Path:
    """Beside agent.toml."""
    return config.parent / "trusted.json"


def pin(config: Path, state: Path) -> Registration:
    """Trust the keys that this host was registered with; HostError if it is not registered."""
    registration = read_registration(Files(state))
    _keep(config, registration)
    return registration


def pin_others(config: Path, keys: tuple[PublicKey, ...]) -> None:
    """In place of those that are pinned, which have signed for it. HostError if nothing is pinned."""
    others = tuple(key.model_dump() for key in keys)
    _keep(config, trusted(config).model_copy(update={"verification_keys": others}))


def _keep(config: Path, registration: Registration) -> None:
    atomic_write(pinned(config), registration.model_dump_json(indent=2).encode(), _READABLE)


def trusted(config: Path) -> Registration:
    """HostError if nothing is pinned."""
    path = pinned(config)
    try:
        return Registration.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise HostError(f"{path} is not there, so no update is obeyed", PIN) from None
    except (OSError, ValidationError) as error:
        raise HostError(f"{path} cannot be used: {error}", PIN) from error


def verifier(config: Path) -> CommandVerifier:
    """HostError if nothing is pinned."""
    found = trusted(config)
    return CommandVerifier(found.agent_id, found.verification_keys)
