"""What rclone says of a remote, as problems in our words; `s3_words` does so of S3."""

from agent.movers.s3_words import IN_THE_WAY, found_in, short
from events.base import Problem

_UNDESCRIBED = (
    "didn't find section in config file",
    "Failed to load config file",
    "didn't find backend called",
)
_REMOTE_DENIED = ("401 Unauthorized", "403 Forbidden", "permission denied", "AccessDenied", "unable to authenticate",
           "invalid_grant", "couldn't fetch token", "empty token found")  # fmt: skip
_REMOTE_MISSING = ("directory not found", "object not found", "NoSuchBucket")
_READ_ONLY = ("remotes are read only", "read-only file system")


def permanent_remote_problem(words: str, place: object) -> Problem | None:
    """The problem that another try would meet again; None for what may pass."""
    return found_in(_REMOTE_TABLE, words, place)


def transient_remote_problem(words: str, place: object) -> Problem:
    return Problem(
        code="remote-failed",
        message=f"rclone could not use {place}: {short(words)}.",
        advice="It is tried again by itself. If this repeats, try `rclone lsf` on the agent's host.",
        path=str(place),
        retryable=True,
    )


_REMOTE_TABLE = (
    (_UNDESCRIBED, "remote-not-described", "rclone cannot make out of its configuration what {place} is.",
     "See `rclone config show` on the agent's host; `crosshaul agent doctor` tells when it is right."),
    (_READ_ONLY, "read-only-remote", "Nothing can be written at {place}.", "Choose another destination."),
    (_REMOTE_DENIED, "remote-denied", "{place} does not let this agent's host in.",
     "Its administrator renews the access with `rclone config reconnect` or `rclone config`."),
    (_REMOTE_MISSING, "source-missing", "{place} is not there.", "See that remote and path are right."),
    ((IN_THE_WAY,), "destination-exists", "{place} is there already and differs from what was to be written.",
     "Move it away, or choose another --overwrite."),
)  # fmt: skip
