"""Every problem that an agent reports: what people read of it, and whether a later attempt may succeed.

A code is here once. A problem that needs other words in another situation is a `replace` of the first with
its code and title. Names, numbers and texts of other programs are parameters of these templates, never part
of one.
"""

from dataclasses import replace

from events import reports
from events.problem_type import ProblemType, catalogue, wordings

# --- files and names ---

SOURCE_MISSING = ProblemType(
    "source-missing",
    title="The path does not exist",
    message="{path} does not exist.",
    advice="Check the path.",
)
S3_SOURCE_MISSING = replace(
    SOURCE_MISSING, wording="s3-source-missing", advice="Check the bucket and the prefix."
)
S3_BUCKET_MISSING = replace(
    SOURCE_MISSING,
    wording="s3-bucket-missing",
    message="The bucket of {path} does not exist.",
    advice="Check the name of the bucket.",
)
REMOTE_SOURCE_MISSING = replace(
    SOURCE_MISSING, wording="remote-source-missing", advice="Check the remote and the path."
)
OBJECTS_MISSING = replace(
    SOURCE_MISSING,
    wording="objects-missing",
    message="{path} does not exist or is empty.",
    advice="Check bucket and prefix, or remote and path.",
)
SELECTED_OBJECT_MISSING = replace(
    SOURCE_MISSING,
    wording="selected-object-missing",
    message="{path} does not exist any more.",
    advice="None needed if it was deleted on purpose.",
)
PATH_MISSING = ProblemType(
    "path-missing",
    title="The directory does not exist",
    message="{path}: There is no such directory.",
    advice="Check the path.",
)
PATH_TOO_LONG = replace(PATH_MISSING, wording="path-too-long", message="{path}: A name in it is too long.")
PERMISSION_DENIED = ProblemType(
    "permission-denied",
    title="The agent's user has no access",
    message="{path} is not accessible to the agent's user.",
    advice="Give that user access to it.",
)
SOURCE_PERMISSION_DENIED = replace(
    PERMISSION_DENIED,
    wording="source-permission-denied",
    message="{path} cannot be read.",
    advice="Give the source's agent access to it.",
)
EXTRA_FILES_UNPROVEN = replace(
    PERMISSION_DENIED,
    wording="extra-files-unproven",
    message="All files were transferred, but no extra file was removed: {path} has files that the source "
    "does not have, and the agent cannot rule out that it belongs to the source. {reason}",
    advice="Give the destination's agent write permission there, or exclude the directory with a filter.",
)
NOT_READABLE = ProblemType(
    "not-readable",
    title="The agent cannot read this",
    message="{path}: It cannot be read: {reason}.",
    advice="See the agent's log.",
)
SOURCE_UNREADABLE = replace(
    NOT_READABLE,
    wording="source-unreadable",
    message="{path} cannot be read at the source.",
    advice="Check the disk of the source's server (dmesg), and whether the path is still that of a file.",
)
NOT_READABLE_BY_USER = replace(
    NOT_READABLE,
    wording="not-readable-by-user",
    message="{path}: The agent is not allowed to read it.",
    advice="Give the agent's user access to it.",
)
OUTSIDE_ROOTS = ProblemType(
    "outside-roots",
    title="The path is in none of the agent's roots, or leads out of one",
    message="{path} is in none of this agent's roots.",
    advice="Its roots are {roots}; the host's administrator can add one in agent.toml.",
)
PATH_THROUGH_LINK = replace(
    OUTSIDE_ROOTS,
    wording="path-through-link",
    message="{path} leads through a symbolic link.",
    advice="Use a path without symbolic links. The host's administrator can allow them for a root, with "
    "`links = true` in agent.toml.",
)
PATH_LEAVES_ROOT = replace(
    OUTSIDE_ROOTS,
    wording="path-leaves-root",
    message="{path} leads out of the location or the root, or into a read-only root.",
    advice="Name a path inside one of the agent's roots. Where links are followed, they must not leave the "
    "location.",
)
LINK_LEAVES_ROOT = replace(
    OUTSIDE_ROOTS,
    wording="link-leaves-root",
    message="{path}: A symbolic link leads out of the root.",
    advice="Use a path inside a root.",
)
READ_ONLY_ROOT = ProblemType(
    "read-only-root",
    title="The root is read-only",
    message="{path} is in the root {root}, which is read-only.",
    advice="Writable roots: {roots}.",
)
NOT_A_DIRECTORY = ProblemType(
    "not-a-directory",
    title="This is not a directory",
    message="{path} is not a directory.",
    advice="Name a file without a trailing slash.",
)
OBJECT_NOT_A_DIRECTORY = replace(
    NOT_A_DIRECTORY,
    wording="object-not-a-directory",
    message="{path} is a file, not a directory.",
    advice="Leave out the slash at the end.",
)
NOT_BROWSABLE = replace(
    NOT_A_DIRECTORY,
    wording="not-browsable",
    message="{path}: This is not a directory.",
    advice="Browse its parent directory.",
)
IS_A_DIRECTORY = ProblemType(
    "is-a-directory",
    title="A directory is where a file belongs",
    message="{path} is a directory, but a file belongs there.",
    advice="Move it away or rename one of the two.",
)
SPECIAL_FILE = ProblemType(
    "special-file",
    title="A device, a socket or a FIFO cannot be transferred",
    message="{path} is a device, a socket or a FIFO, which cannot be transferred.",
    advice="Move it out of the source, or exclude it with --exclude.",
)
REPLACED_BY_SPECIAL_FILE = replace(
    SPECIAL_FILE,
    wording="replaced-by-special-file",
    message="{path} was a file when it was listed, and has since been replaced by a directory, a device, a "
    "socket or a FIFO.",
    advice="Transfer it again, or exclude it with --exclude.",
)
RESERVED_NAME = ProblemType(
    "reserved-name",
    title="A name that Crosshaul reserves for its own files",
    message="{path} is left out: Crosshaul reserves names that begin with .crosshaul- for its own files.",
    advice="Rename it to transfer it.",
)
LINK_LOOP = ProblemType(
    "link-loop",
    title="A symbolic link leads in a circle",
    message="{path} is a symbolic link to a directory that contains it.",
    advice="Transfer with --symlinks keep or --symlinks skip.",
)
LINKS_IN_A_CIRCLE = replace(
    LINK_LOOP, wording="links-in-a-circle", message="{path} is a symbolic link that leads back to itself."
)
NAME_TOO_LONG = ProblemType(
    "name-too-long",
    title="A name is too long for the file system",
    message="{path} has a name that is too long for the file system.",
    advice="Shorten the name.",
)
NAME_NOT_ALLOWED = ProblemType(
    "name-not-allowed",
    title="The destination's file system does not allow the name",
    message="{path} has a name that the destination's file system does not allow, or would change.",
    advice="Rename it: Windows, FAT, exFAT and many network shares forbid some characters, and a dot or "
    "a space at the end. Or choose a destination on a Linux file system.",
)
S3_NAME_TOO_LONG = replace(
    NAME_TOO_LONG,
    wording="s3-name-too-long",
    message="{path} would be an object with a key of more than 1,024 bytes, which S3 does not take.",
    advice="Shorten the name, or transfer to a shorter prefix.",
)
FILE_TOO_LARGE = ProblemType(
    "file-too-large",
    title="The file is too large",
    message="{path} is larger than the destination's file system allows.",
    advice="Choose another destination.",
)
LONGER_THAN_TRANSFERRED = replace(
    FILE_TOO_LARGE,
    wording="longer-than-transferred",
    message="{path} is longer than 64 TiB, or than 32 TiB and to be compared by digest.",
    advice="If it is mostly a hole, shorten it at the source.",
)
LISTED_SIZE_TOO_LARGE = replace(
    FILE_TOO_LARGE,
    wording="listed-size-too-large",
    message="The source lists {path} with {size} bytes, more than any file can have.",
    advice="Check it at the source, or leave it out with --exclude.",
)
UNREADABLE = ProblemType(
    "unreadable", title="This entry cannot be transferred", message="{path} cannot be moved."
)
IO_ERROR = ProblemType(
    "io-error",
    title="Reading or writing failed",
    message="{path} cannot be used: {reason}.",
    advice="See that host's system log.",
)
FILTER_REFUSED = ProblemType(
    "filter-refused",
    title="The filters cannot be used",
    message="The filters cannot be used: {reason}.",
    advice="Create the transfer again with other filters; or change its template.",
)
FILES_FAILED = ProblemType(
    "files-failed",
    title="Some files failed",
    message="{failed} of {total} files failed. First failure: {first}",
    advice="Fix the cause of each failure, then retry: only these files are sent again.",
)
FILES_FAILED_WITH_ADVICE = replace(FILES_FAILED, wording="files-failed-with-advice", advice="{advice}")

# --- destination ---

DESTINATION_FULL = ProblemType(
    "destination-full",
    title="The destination has no space left",
    message="{path} has no space left.",
    advice="Free some space; the transfer then continues by itself.",
    retryable=True,
)
INODES_EXHAUSTED = replace(
    DESTINATION_FULL,
    wording="inodes-exhausted",
    message="{path} has no inodes left: its file system can hold no further file, whatever its free space.",
    advice="Delete files there that are not needed, many small ones first (`df -i` shows the inodes); the "
    "transfer then continues by itself.",
)
QUOTA_EXCEEDED = replace(DESTINATION_FULL, wording="quota-exceeded", message="{path} is over its quota.")
DESTINATION_READ_ONLY = ProblemType(
    "destination-read-only",
    title="The destination is read-only",
    message="{path} is on a read-only file system.",
    advice="Remount it read-write.",
)
DESTINATION_EXISTS = ProblemType(
    "destination-exists",
    title="The destination has another file of this name",
    message="{path} exists already and differs from the source's file.",
    advice="Move it away, or choose another --overwrite.",
)
DESTINATION_OBJECT_EXISTS = replace(
    DESTINATION_EXISTS,
    wording="destination-object-exists",
    message="{path} exists and differs from the source.",
)
DESTINATION_CHANGED = ProblemType(
    "destination-changed",
    title="A transferred file is missing at the destination",
    message="{path} was transferred and deleted at the source, and is now missing at the destination.",
    advice="Find out which person or program at the destination has moved or removed it.",
)
IN_THE_WAY = ProblemType(
    "in-the-way",
    title="Something else has this name",
    message="{path} already exists and is in the way.",
    advice="Move it away or rename one of the two.",
)
FILE_IN_THE_WAY = replace(
    IN_THE_WAY,
    wording="file-in-the-way",
    message="{obstacle} is not a directory, and a directory belongs there.",
)
FILE_ABOVE_IN_THE_WAY = replace(
    IN_THE_WAY,
    wording="file-above-in-the-way",
    message="{path} cannot be written: it or a directory above it is needed as a directory, and is a file.",
    advice="Move that file away, or choose another destination.",
)
LINK_IN_THE_WAY = ProblemType(
    "link-in-the-way",
    title="A symbolic link is where a directory belongs",
    message="{obstacle} is a symbolic link, and a directory belongs there.",
    advice="Remove the link, or use the directory that it points to as the destination of another "
    "transfer. What it points to was not touched.",
)
LINK_WITHOUT_FILE = ProblemType(
    "link-without-file",
    title="The file of a hard link is missing",
    message="{path} is a hard link to {first}, which is missing.",
    advice="Fix the cause for that file, then retry.",
)
NAME_COLLISION = ProblemType(
    "name-collision",
    title="The destination's file system treats two names as one",
    message="{path} collides with {other}: its file system treats them as one.",
    advice="Rename one of the two, or choose a destination that distinguishes them. The existing file "
    "was not touched.",
)
MOUNTED_TWICE = ProblemType(
    "mounted-twice",
    title="A directory is mounted twice at the destination",
    message="{mounted} is the same directory as {other}, mounted a second time.",
    advice="Unmount one of them, or use --exclude for one. Nothing was written under this path.",
)
REMOUNTED = ProblemType(
    "remounted",
    title="A disk was mounted or unmounted during the transfer",
    message="{path} is on another file system than when the transfer began.",
    advice="Mount the right disk there, then retry the transfer.",
)
OWNER_NOT_ALLOWED = ProblemType(
    "owner-not-allowed",
    title="The agent may not change file owners",
    message="The agent of {destination} may not change file owners.",
    advice="Run it as root or grant it CAP_CHOWN (docs/guides/agent.md), or leave out --owner.",
)
ARRIVED_DAMAGED = ProblemType(
    "arrived-damaged",
    title="Data arrived damaged",
    message="{path} arrived damaged {attempts} times: its digest differs from the source's.",
    advice="Nothing of it was kept. Check the memory of both hosts.",
    retryable=True,
)
WRITTEN_WRONG = ProblemType(
    "written-wrong",
    title="Data read back differs from what was written",
    message="{path}{more} had another content than was written when read back from disk.",
    advice="The next attempt sends them again. If this repeats, check that host's disk and memory.",
    retryable=True,
)
LEDGER_DAMAGED = ProblemType(
    "ledger-damaged",
    title="The agent's record of the hop is damaged",
    message="{ledger}, in which the agent records what is transferred, can no longer be read: {reason}.",
    advice="The next attempt compares with what is at the destination. Have that host's disk checked.",
    retryable=True,
)

OUTCOME_UNREADABLE = ProblemType(
    "outcome-unreadable",
    title="The agent's note about a file is damaged",
    message="What the agent had noted about it cannot be read.",
    advice="Check whether the file is at the destination. Have the disk of the agent's host checked.",
)

LANE_KEY_UNUSABLE = ProblemType(
    "lane-key-unusable",
    title="The agent's lane key cannot be used",
    message="{reason}, so that agent can neither send files to other agents nor fetch any from them.",
    advice="Restart that agent: it makes a new lane certificate. Have that host's disk checked.",
    retryable=True,
)

STATE_DISK_FULL = ProblemType(
    "state-disk-full",
    title="The disk of the agent's state directory is full",
    message="{path}, where the agent of the destination records what is transferred, has no space left.",
    advice="Free some space on that disk; the transfer then continues by itself.",
    retryable=True,
)

# --- source ---

SOURCE_EMPTY = ProblemType(
    "source-empty",
    title="The source has no files",
    message="There is no file at {source}, so nothing is removed at the destination.",
    advice="If the destination is to be emptied, remove its files there. If not, see that the source is "
    "the right one, and mounted.",
)
SOURCE_CHANGED = ProblemType(
    "source-changed",
    title="The file changed while it was being read",
    message="{path} changed while it was being read.",
)
CHANGED_SINCE_LISTED = replace(
    SOURCE_CHANGED, wording="changed-since-listed", message="{path} has changed since it was listed."
)
SOURCE_VANISHED = ProblemType(
    "source-vanished",
    title="The file was deleted before it was read",
    message="{path} was deleted before it was read.",
    advice="None needed if it was deleted on purpose.",
)
SOURCE_KEPT = ProblemType(
    "source-kept",
    title="Not everything was deleted at the source",
    message="{path} stays at the source: {reason}.",
    advice="Check the file at the destination, then transfer it again.",
)
LOCAL_SOURCE_KEPT_CHANGED = replace(
    SOURCE_KEPT,
    wording="local-source-kept-changed",
    message="{path} changed after it was read, and stays at the source.",
    advice="Transfer it again.",
)
SOURCE_KEPT_CHANGED = replace(
    SOURCE_KEPT,
    wording="source-kept-changed",
    message="{path} changed after it was read and was not deleted at the source.",
    advice="Move it again.",
)
SOURCE_KEPT_UNDELETABLE = replace(
    SOURCE_KEPT,
    wording="source-kept-undeletable",
    message="{path} arrived, but could not be deleted at the source.",
    advice="Give the source's agent write access.",
)
OBJECT_KEPT = replace(
    SOURCE_KEPT,
    wording="object-kept",
    message="{path} arrived, but was not deleted at the source.",
    advice="Delete it with a lifecycle rule of the bucket.",
)
DELETION_INTERRUPTED = replace(
    SOURCE_KEPT,
    wording="deletion-interrupted",
    message="All files were transferred, but not all of them were deleted at {source}: {reason}.",
    advice="The transfer resumes by itself when the source can be reached.",
    retryable=True,
)
SAME_PLACE = ProblemType(
    "same-place",
    title="Source and destination share a directory",
    message="{path} and the destination are the same directory, or one contains the other.",
    advice="Choose a destination outside the source. Check whether links or mounts lead from one to "
    "the other, or whether both servers mount the same disk.",
)
SAME_FILE = replace(
    SAME_PLACE,
    wording="same-file",
    message="{path} stays at the source: at the destination is the same file, or one in the same "
    "directory under another path.",
    advice="None needed if it belongs there. Otherwise check which links or mounts lead from one to the "
    "other.",
)
SAME_DIRECTORY_TWICE = replace(
    SAME_PLACE,
    wording="same-directory-twice",
    message="{path} and another directory of the destination are the same directory "
    "under two names, so one file may have replaced another. Nothing was removed.",
    advice="Find the link or mount that connects the two, and move to a destination without it.",
)
EXTRA_FILES_IN_SOURCE = replace(
    SAME_PLACE,
    wording="extra-files-in-source",
    message="Extra files at {destination} are also in the source: both share a directory under two "
    "paths. Nothing was deleted.",
    advice="Leave out delete_extra, or choose locations that share nothing. Check which links or "
    "mounts lead from one to the other.",
)
SOURCE_TOO_OLD = ProblemType(
    "source-too-old",
    title="The source's agent is too old",
    message="The agent at {endpoint} is too old to check whether source and destination share a "
    "directory, so nothing was deleted at the source. All files have arrived.",
    advice="Update the source's agent, then retry.",
)
OWNERS_NOT_REPORTED = replace(
    SOURCE_TOO_OLD,
    wording="owners-not-reported",
    message="The agent of {source} does not report the owners of its files.",
    advice="Update that agent, or leave out --owner.",
)

# --- lane and connections ---

SOURCE_UNREACHABLE = ProblemType(
    reports.SOURCE_UNREACHABLE,
    title="The source cannot be reached",
    message="{source} cannot be reached: {reason}.",
    advice="Check that the source's agent runs, and that its lane port is open from here "
    "(`crosshaul agent doctor` on both hosts).",
    retryable=True,
)
BOTH_SIDES_UNREACHABLE = replace(
    SOURCE_UNREACHABLE,
    wording="both-sides-unreachable",
    advice="Check that both agents are running, and open the lane port of one host to the other; one "
    "of the two is enough (`crosshaul agent doctor` on both hosts).{log}",
)
SOURCE_UNREACHABLE_FOR_CHECK = replace(
    SOURCE_UNREACHABLE,
    wording="source-unreachable-for-check",
    message="All files were transferred, but no extra file was removed at {destination}: "
    "the agent could not check with {source} that none of them belongs to the source: {reason}.",
    advice="The transfer resumes by itself when the source can be reached.",
)
DESTINATION_UNREACHABLE = ProblemType(
    reports.DESTINATION_UNREACHABLE,
    title="The destination cannot be reached",
    message="The source could not connect to {agent_id}: {reason}.",
    advice="None needed if {agent_id} can connect to the source: one direction is enough.",
    retryable=True,
)
PREVIOUS_HOP_NOT_RUNNING = ProblemType(
    reports.PREVIOUS_HOP_NOT_RUNNING,
    title="The previous hop is not running",
    message="The hop that copies these files to {endpoint} is not running.",
    advice="None needed: this hop continues when that one does.",
    retryable=True,
)
STILL_ARRIVING = ProblemType(
    "still-arriving",
    title="The files at the source are not complete yet",
    message="{path} is still being written here by another hop.",
    retryable=True,
)
NOT_SERVED = ProblemType(
    "not-served",
    title="The source does not serve this hop",
    message="Hop {hop_id} is not served here, or not to this agent, or has ended.",
    retryable=True,
)
NOT_TO_REMOVE = ProblemType(
    "not-to-remove",
    title="The hop may not delete files at the source",
    message="Hop {hop_id} copies and does not move, so it may not delete files here.",
)
ONLY_COMPARED = ProblemType(
    "only-compared",
    title="The hop may not read file contents",
    message="Hop {hop_id} is a dry run, so no file contents are sent for it.",
)
MALFORMED = ProblemType(
    "malformed", title="The request is malformed", message="Malformed lane request: {reason}."
)
SOURCE_MISBEHAVED = ProblemType(
    "source-misbehaved",
    title="The source's agent violated the protocol",
    message="The agent at {endpoint} violated the lane protocol: {reason}.",
    advice="Check that both agents have the same version, and read the source's log.",
)
PEER_CERTIFICATE = ProblemType(
    "peer-certificate",
    title="The other agent's certificate cannot be read",
    message="The lane certificate of {agent_id} cannot be read.",
    advice="Register that agent again.",
)

# --- S3 and remotes ---

S3_DENIED = ProblemType(
    "s3-denied",
    title="S3 denies the agent access",
    message="S3 denies this agent access to {path}.",
    advice="Add the bucket to the stage's file (stages/NAME.toml), deploy, and check the bucket policy.",
)
S3_OBJECT_DENIED = replace(
    S3_DENIED,
    wording="s3-object-denied",
    message="S3 does not give {path} to this agent: it does not exist any more, or a policy denies it.",
    advice="None needed if it was deleted on purpose; otherwise check the bucket policy.",
)
S3_BUCKET_REFUSED = replace(
    S3_DENIED,
    wording="s3-bucket-refused",
    message="S3 does not serve the bucket of {path}: {reason}.",
    advice="Check the bucket's name, and the state of the AWS account that owns it.",
)
S3_ARCHIVED = ProblemType(
    "s3-archived",
    title="The object is archived",
    message="{path} is archived, and S3 gives it out only once it is restored.",
    advice="Restore it (aws s3api restore-object), then transfer it again.",
)
S3_OBJECT_REFUSED = ProblemType(
    "s3-object-refused",
    title="S3 refuses the request for an object",
    message="S3 refuses the request for {path}: {reason}.",
    advice="Check how it is encrypted: Crosshaul has no key that a customer provides (SSE-C).",
)
S3_OPTION_REFUSED = replace(
    S3_OBJECT_REFUSED,
    wording="s3-option-refused",
    message="The bucket does not take {path} with the options of the transfer: {reason}.",
    advice="Leave out the storage class and the tags, or choose some that the bucket takes.",
)
S3_OTHER_REGION = replace(
    S3_OBJECT_REFUSED,
    wording="s3-other-region",
    message="The bucket of {path} is not in the region of the stage.",
    advice="Use a bucket in that region: `python -m infra.buckets check` shows the regions of all.",
)
S3_CREDENTIALS_REFUSED = ProblemType(
    "s3-credentials-refused",
    title="S3 does not accept the hop's credentials",
    message="S3 no longer accepts the credentials for {path}.",
    advice="The agent has discarded them, and the hop is retried with new ones. If this repeats, check the "
    "object role's trust and permissions.",
    retryable=True,
)
S3_FAILED = ProblemType(
    "s3-failed",
    title="A request to S3 failed",
    message="S3 failed for {path}: {reason}.",
    advice="The hop is retried automatically. If this repeats, see the agent's log.",
    retryable=True,
)
REMOTE_UNKNOWN = ProblemType(
    "remote-unknown",
    title="The agent has no such remote",
    message="This agent has no remote named {remote}.",
    advice="Its remotes are {remotes}; its host's administrator can add one in agent.toml.",
)
REMOTE_NOT_DESCRIBED = ProblemType(
    "remote-not-described",
    title="rclone's configuration does not define the remote",
    message="rclone's configuration does not define {path} correctly.",
    advice="Check `rclone config show` on the agent's host, then run `crosshaul agent doctor`.",
)
RCLONE_CONFIG_MISSING = replace(
    REMOTE_NOT_DESCRIBED,
    wording="rclone-config-missing",
    message="The rclone configuration of this agent's host does not exist: {file}.",
    advice="Its administrator can create it with `rclone config`, or set rclone_config in agent.toml to "
    "another file.",
)
REMOTE_DENIED = ProblemType(
    "remote-denied",
    title="The remote denies the agent's host access",
    message="{path} denies access to this agent's host.",
    advice="Ask its administrator to renew the access with `rclone config reconnect` or `rclone config`.",
)
READ_ONLY_REMOTE = ProblemType(
    "read-only-remote",
    title="The remote is read-only",
    message="{path} is read-only.",
    advice="Choose another destination.",
)
REMOTE_NOT_WRITABLE = replace(
    READ_ONLY_REMOTE,
    wording="remote-not-writable",
    message="{path} is on the remote {remote}, which is read-only.",
    advice="Writable remotes: {remotes}.",
)
REMOTE_FAILED = ProblemType(
    "remote-failed",
    title="rclone failed at the remote",
    message="rclone failed for {path}: {reason}.",
    advice="The hop is retried automatically. If this repeats, try `rclone lsf` on the agent's host.",
    retryable=True,
)
REMOTE_SLOW = ProblemType(
    "remote-slow",
    title="The remote did not answer in time",
    message="Listing {path} took too long.",
    advice="Try again, or type the path: a transfer has no such time limit.",
    retryable=True,
)
RCLONE_MISSING = ProblemType(
    "rclone-missing",
    title="rclone is not installed",
    message="rclone is not installed on this agent's host.",
    advice="Install rclone 1.69 or newer there, then run `crosshaul agent doctor`.",
)
NO_RANGES = ProblemType(
    "no-ranges",
    title="The server ignores range requests",
    message="The server of {path} ignores range requests, and the file is too large to read at once.",
    advice="Enable range requests on the server, or copy the file by other means.",
)
SIZE_UNKNOWN = ProblemType(
    "size-unknown",
    title="The size is unknown, and the agent's disk has too little space to find it",
    message="The size of {path} is unknown before it is read, and this agent's disk has "
    "too little free space to read it.",
    advice="Free space on the disk of the agent's state directory, export the document as a file, or "
    "leave it out with --exclude.",
)
NOT_A_PATH = ProblemType(
    "not-a-path",
    title="The key of an object cannot be a file name",
    message="The key {path} cannot be a file name.",
    advice="Rename the object.",
)
NAME_NOT_UTF8 = ProblemType(
    "name-not-utf8",
    title="The name is not valid UTF-8",
    message="The name {path} has bytes that are not UTF-8, and rclone would use another name.",
    advice="Rename it, for example with convmv.",
)
S3_NAME_NOT_UTF8 = replace(
    NAME_NOT_UTF8,
    wording="s3-name-not-utf8",
    message="The name {path} has bytes that are not UTF-8, which S3 does not take.",
)
LEFT_OUT = ProblemType(
    "left-out",
    title="rclone left the file out",
    message="{path} was not uploaded: rclone left it out without an error.",
    advice="The hop is retried automatically. If this repeats, rename the file.",
    retryable=True,
)
LINK_NOT_FOR_S3 = ProblemType(
    "not-for-s3",
    title="S3 cannot store this",
    message="{path} is a symbolic link, which {backend} cannot store.",
    advice="Choose --symlinks follow or skip.",
)
LINK_NOT_FOR_REMOTE = ProblemType(
    "not-for-remote",
    title="The remote cannot store this",
    message=LINK_NOT_FOR_S3.message,
    advice=LINK_NOT_FOR_S3.advice,
)

# --- commands ---

COMMAND_MALFORMED = ProblemType("command-malformed", title="The agent does not understand a command")
COMMAND_NOT_UNDERSTOOD = replace(
    COMMAND_MALFORMED,
    wording="command-not-understood",
    message="the command is not understood: {reason}",
    advice="update the agent on this host to the control plane's version",
)
COMMAND_NOT_TRUSTED = ProblemType(
    "command-not-trusted", title="The agent does not trust a command's signature"
)
COMMAND_KEY_UNKNOWN = replace(
    COMMAND_NOT_TRUSTED,
    wording="command-key-unknown",
    message="signed with the unknown key {kid}",
    advice="register this agent again if the control plane's signing key was replaced",
)
COMMAND_MISDELIVERED = ProblemType(
    "command-misdelivered",
    title="A command for another agent was received",
    message="the command is not for {agent_id}",
)
COMMAND_REPLAYED = ProblemType(
    "command-replayed",
    title="A command was received again",
    message="the command was executed before; each is accepted once",
)
COMMAND_BEFORE_JOURNAL = replace(
    COMMAND_REPLAYED,
    wording="command-before-journal",
    message="the command was issued at {issued}, before this agent's journal was begun at {created}: it may "
    "have been executed before",
    advice="none needed: the control plane sends again what is still to be done",
)
COMMAND_TOO_LARGE = ProblemType(
    "command-too-large",
    title="A command is too large",
    message="the message has {size} bytes; the limit is {limit}",
)
COMMAND_EXPIRED = ProblemType(
    "command-expired",
    title="A command arrived too late",
    message="the command expired at {expired}, this host's clock says {now}",
    advice="set this host's clock (timedatectl status); commands are valid for minutes only",
)
CLOCK_SKEW = ProblemType(
    "clock-skew",
    title="A clock is wrong",
    message="the command is from {issued}, this host's clock says {now}: it is {behind} s behind",
    advice=COMMAND_EXPIRED.advice,
)
S3_CLOCK_SKEW = replace(
    CLOCK_SKEW,
    wording="s3-clock-skew",
    message="S3 rejects requests from this host because its clock is wrong.",
    advice="Set the clock: timedatectl status.",
)
WIRE_UNKNOWN = ProblemType(
    "wire-unknown",
    title="The agent is too old for a message",
    message="the message has wire version {received}, this agent {known}",
    advice=COMMAND_NOT_UNDERSTOOD.advice,
)

# --- host ---

AGENT_ERROR = ProblemType(
    "agent-error",
    title="Internal error of the agent",
    message="{error}: {reason}",
    advice="See the agent's log (journalctl -u crosshaul-agent) on that host.",
)
HELPER_FAILING = ProblemType(
    "helper-failing",
    title="A part of the agent fails repeatedly",
    message="The agent's {helper} has failed {failures} times in a row: {reason}",
    advice="Hops continue. See the agent's log (journalctl -u crosshaul-agent) on that host.",
    retryable=True,
)
STATE_DAMAGED = ProblemType(
    "state-damaged",
    title="The agent has set damaged state files aside",
    message="The agent could not use {count} of its state, now set aside in {path}: {names}",
    advice="The agent works without them. See its log for the reasons, have the disk checked,"
    " then delete them.",
)
API_ADDRESS_KEPT = ProblemType(
    "api-address-kept",
    title="The API's new address does not answer",
    message="The API has moved to {new}, which this host cannot use: {reason}. The agent stays at {old}.",
    advice="Check name resolution and the firewall from this host to the new address. The agent tries again.",
    retryable=True,
)
API_REFUSED = ProblemType("api-refused", title="The API refused the agent's request", advice="{advice}")

# --- updates of the agent ---

UPDATE_FAILED = ProblemType(
    "update-failed",
    title="The update could not be installed",
    message="The agent could not run the update: {detail}",
    advice="See `journalctl -u crosshaul-update -u crosshaul-agent` on the host.",
)
UPDATE_IMPOSSIBLE = replace(
    UPDATE_FAILED,
    wording="update-impossible",
    message="This agent was not installed by the install script, so nothing can update it.",
    advice="Run the install command of the console on the host, or update it as it was installed.",
)
UPDATER_SILENT = replace(
    UPDATE_FAILED,
    wording="updater-silent",
    message="The host's updater did not start the update.",
    advice="See `journalctl -u crosshaul-update` on the host.",
)
UPDATE_NOT_INSTALLED = replace(
    UPDATE_FAILED, wording="update-not-installed", message="Installing {version} failed: {detail}"
)
UPDATE_SLOW = replace(
    UPDATE_FAILED,
    wording="update-slow",
    message="Installing {version} took longer than {seconds} seconds.",
    advice="Check the network of the host and its disk, then update it again.",
)
UPDATE_SCRIPT_AWAY = replace(
    UPDATE_FAILED,
    wording="update-script-away",
    message="{script} cannot be fetched: {detail}",
    advice="Check the network from the host to that address, then update it again.",
)
UPDATE_MISPLACED = replace(
    UPDATE_FAILED,
    wording="update-misplaced",
    message="The script of {version} installed into {folder}, not beside the other releases.",
    advice="Install the agent again with the install command of the console.",
)
UPDATE_OTHER_VERSION = replace(
    UPDATE_FAILED,
    wording="update-other-version",
    message="The installed release has version {found}, not {version}.",
    advice="Publish the version again.",
)
UPDATE_UNITS_NOT_USED = replace(
    UPDATE_FAILED,
    wording="update-units-not-used",
    message="The systemd units of {version} cannot be put in place: {detail}",
    advice="The host runs the earlier version again. See `journalctl -u crosshaul-update` on it.",
)
UPDATE_UNHEALTHY = ProblemType(
    "update-unhealthy",
    title="The new version did not report healthy",
    message="{version} did not report healthy within {seconds} seconds.",
    advice="The host runs the earlier version again. See `journalctl -u crosshaul-agent` on it.",
)
UPDATE_CHECKS_FAILED = replace(
    UPDATE_UNHEALTHY,
    wording="update-checks-failed",
    message="{version} did not report healthy within {seconds} seconds. Its checks found: {troubles}",
)
UPDATE_REFUSED = ProblemType(
    "update-refused",
    title="The host does not accept the release",
    message="{version} refused: what the publisher has signed is {signed}, or another script.",
    advice="Publish the version again.",
)
UPDATE_UNSIGNED = replace(
    UPDATE_REFUSED,
    wording="update-unsigned",
    message="{version} refused: no key that root has pinned on the host has signed it.",
    advice="Install the release first that announces the new key.",
)
UPDATE_OLDER = replace(
    UPDATE_REFUSED,
    wording="update-older",
    message="{version} refused: it was signed before the release that the host has.",
    advice="Publish that version again to return to it.",
)
UPDATE_AHEAD = replace(
    UPDATE_REFUSED,
    wording="update-ahead",
    message="{version} refused: it was signed at a time that has not come.",
    advice="Set the publisher's clock, and publish that version again.",
)
UPDATE_SCRIPT_DIFFERS = replace(
    UPDATE_REFUSED,
    wording="update-script-differs",
    message="{script} is not what was published: its digest differs.",
)
UPDATE_PARTS_DIFFER = replace(
    UPDATE_REFUSED,
    wording="update-parts-differ",
    message="{version} was not installed from the package and the lock file that are signed.",
)
UPDATE_RCLONE_DIFFERS = replace(
    UPDATE_REFUSED,
    wording="update-rclone-differs",
    message="The rclone of {version} is not one that the publisher has signed.",
)
UPDATE_UNIT_DIFFERS = replace(
    UPDATE_REFUSED,
    wording="update-unit-differs",
    message="The {unit} of {version} is not the one that the publisher has signed.",
)
UPDATE_UNPINNED = replace(
    UPDATE_REFUSED,
    wording="update-unpinned",
    message="The publisher's keys of the host cannot be used, so releases are refused: {detail}",
    advice="As root on the host: crosshaul agent pin --release-key KEY, with the publisher's key.",
)

CATALOGUE = catalogue(globals().values())
"""Code → problem type, with its first words."""
WORDINGS = wordings(globals().values())
"""Wording → problem type."""
