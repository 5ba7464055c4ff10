"""How long a pull waits, and how much it holds at once."""

from dataclasses import dataclass

from agent.backoff import Backoff


@dataclass(frozen=True)
class PullLimits:
    """The limits of one pull. Times are in seconds."""

    no_progress_timeout_s: float = 60.0
    """Without any progress, after which a broken connection to the source ends the attempt."""
    pass_backoff: Backoff = Backoff(first_s=0.2, max_s=2.0)
    """Before the next pass after a broken connection."""
    request_backoff: Backoff = Backoff(first_s=0.2, max_s=2.0)
    """Before a broken request is retried."""
    space_poll_interval_s: float = 2.0
    """Between two checks of a full disk."""
    full_disk_retry_s: float = 60.0
    """After which a pass starts even if no space has become free: a raised quota is not visible."""
    scale_interval_s: float = 0.5
    """Per sample of the throughput, by which the number of workers is chosen."""

    max_spooled_in_memory: int = 4096
    """Listed entries in memory before they are written to disk."""
    batch_linger_s: float = 0.02
    """That a small file waits for others to share its request."""
    max_queued_packs: int = 8
    """Packs, and checksum jobs, that may be planned and not yet taken."""
    max_checksum_files: int = 64
    """Files per checksum job."""
