"""Patterns of names, ids and dates, each with what is said of a text that does not match it.

The words are the only ones that people read about a pattern: none of them reads regular expressions.
"""

LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""A DNS label."""
STAGE = r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
THING = r"^[a-zA-Z0-9:_-]{1,128}$"
JOB_ID = r"^[A-Za-z0-9_-]{1,64}$"
TRANSFER_ID = r"^[a-z0-9]{20}$"
HOP_ID = r"^[a-z0-9]{20}-[0-9]{1,3}$"
SHORT_ID = r"^[0-9a-f]{12}$"
"""An id of an update or a roll-out."""
FINGERPRINT = r"^[0-9a-f]{64}$"
VERSION = r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,39}$"
LANE_ADDRESS = r"^[ -~]{1,260}$"
LANE_CERTIFICATE = r"^[ -~\r\n]{0,8192}$"
CODE = r"^[a-z][a-z0-9-]*$"
WORDING = r"^([a-z][a-z0-9-]*)?$"
TAG_KEY = r"^[A-Za-z0-9_.:/-]{1,64}$"
TAG = r"^[^=]+="
AGENT_NAME_START = r"^[a-z0-9-]*$"
AGENT_NAMES = r"^[a-z0-9-]{1,63}(,[a-z0-9-]{1,63}){0,49}$"
NAME_PATTERN = r"^([a-z0-9][a-z0-9-]{0,29})?\{hostname\}([a-z0-9-]{0,19}[a-z0-9])?$"
"""An agent's name with `{hostname}` in it once."""
BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
REMOTE = r"^[A-Za-z0-9_.][A-Za-z0-9_.+@-]{0,63}$"
DAY = r"^\d{4}-\d{2}-\d{2}$"
MONTH = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
AUDIT_RECORD_ID = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z-[0-9a-f]{8}$"
RELEASE_KEY = r"^[A-Za-z0-9_-]{43}$"
SIGNED_RELEASE = r"^[A-Za-z0-9_.-]{1,4000}$"

_WORDINGS = {
    LABEL: ("name-form", "is not a valid name: use lower-case letters, digits and hyphens, at most 63"),
    STAGE: ("stage-form", "is not a valid stage: use lower-case letters, digits and hyphens, at most 32"),
    THING: ("thing-form", "is not a name in AWS IoT: use letters, digits and : _ -, at most 128"),
    JOB_ID: ("job-form", "is not the id of a job in AWS IoT"),
    TRANSFER_ID: ("transfer-form", "is not the id of a transfer: 20 lower-case letters and digits"),
    HOP_ID: ("hop-form", "is not the id of a hop: that of its transfer, a hyphen and a number"),
    SHORT_ID: ("short-id-form", "is not an id: 12 of the characters 0-9 and a-f"),
    FINGERPRINT: ("fingerprint-form", "is not a SHA-256 digest: 64 of the characters 0-9 and a-f"),
    VERSION: ("version-form", "is not a version: write one like 0.2.0"),
    LANE_ADDRESS: ("address-form", "is not an address: use ASCII, at most 260 characters"),
    LANE_CERTIFICATE: ("certificate-form", "is not a certificate in PEM of at most 8,192 characters"),
    CODE: ("code-form", "is not a code: use lower-case letters, digits and hyphens"),
    WORDING: ("code-form", "is not a code: use lower-case letters, digits and hyphens"),
    TAG_KEY: ("tag-key-form", "is not a valid key of a tag: use letters, digits and _ . : / -, at most 64"),
    TAG: ("tag-form", "is not a tag: write key=value"),
    AGENT_NAME_START: (
        "name-start-form",
        "occurs in no agent's name: only lower-case letters, digits and hyphens do",
    ),
    AGENT_NAMES: ("names-form", "is not a list of agents: write at most 50 names with commas between them"),
    NAME_PATTERN: (
        "name-pattern-form",
        "must have the word hostname in braces, once, and lower-case letters, digits and hyphens around it",
    ),
    BUCKET: ("bucket-form", "is not a valid bucket name"),
    REMOTE: ("remote-form", "is not a valid name of a remote: use letters, digits and _ . + @ -, at most 64"),
    DAY: ("day-form", "is not a day: write one like 2026-11-30"),
    MONTH: ("month-form", "is not a month: write one like 2026-11"),
    AUDIT_RECORD_ID: ("audit-record-form", "is not the id of an audit record"),
    RELEASE_KEY: ("release-key-form", "is not a public key of a publisher: 43 characters in base64url"),
    SIGNED_RELEASE: ("signed-release-form", "is not a signed release"),
}
MESSAGES = dict(_WORDINGS.values())
"""Name of a wording → message, a template for `str.format`."""
WORDINGS = {pattern: wording for pattern, (wording, _) in _WORDINGS.items()}
"""Pattern → name of the wording."""
