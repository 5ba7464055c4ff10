"""What the attempt, the passes and the finalizer of one pull have in common."""

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.files.known_devices import KnownDevices
from agent.files.roots import Roots, Tree
from agent.pull.destination import Destination
from agent.pull.ledger import Ledger
from agent.pull.limits import PullLimits
from agent.pull.mover import AttemptObserver, HostResources
from agent.pull.progress import ProgressCounter
from agent.pull.source import Source
from events.commands import Move
from events.locations import AgentLocation


@dataclass(frozen=True)
class PullContext:
    """The command of one pull, and where its bytes, its progress and its events go."""

    host: HostResources
    make_source: Callable[[], Source]
    """Opens the source, once per attempt. Raises HopError if it cannot be opened at all."""
    command: Move
    progress: ProgressCounter
    observer: AttemptObserver
    limits: PullLimits
    devices: KnownDevices = field(default_factory=KnownDevices, init=False)
    """The devices on which the destination is, from the beginning of the attempt on."""

    @property
    def roots(self) -> Roots:
        return self.host.roots

    @property
    def destination_path(self) -> str:
        """The absolute path on this host to which the hop writes."""
        if not isinstance(self.command.destination, AgentLocation):
            raise TypeError(f"the destination of {self.command.hop_id} is not an agent")
        return self.command.destination.path

    def log_fields(self) -> dict[str, object]:
        return {"hop_id": self.command.hop_id, "attempt": self.command.attempt}

    def open_tree(self) -> Tree:
        """Open the destination's directory tree; the caller closes it. Raises HopError."""
        return self.roots.destination(self.destination_path, self.devices)

    def open_destination(self, ledger: Ledger) -> Destination:
        """Open the destination for one thread; the caller closes it. Raises HopError."""
        command = self.command
        return Destination(
            self.open_tree(),
            command.hop_id,
            command.options,
            ledger,
            just_written=command.selection is not None,  # a template's: the objects' events have started it
        )
