"""Mistakes in what was typed or sent: each message once, by a code with which programs translate it."""

from pydantic_core import PydanticCustomError

MESSAGES = {
    "agent-name-route": "{name} is part of the API's own addresses: choose another name",
    "root-not-printable": "roots with quotes or control characters must be added to agent.toml by hand",
    "prefix-name-empty": "the prefix has an empty name or '.' in it, which a path cannot have",
    "template-destination": "{destination}: a template's destination is a directory: end it with /",
    "path-relative": "the path must be absolute: start it with /",
    "path-nul": "the path has a NUL character in it",
    "path-parent": "the path has '..' in it: name the directory itself",
    "path-long": "the path is longer than {limit} bytes",
    "key-long": "an S3 key has at most 1,024 bytes",
    "prefix-parent": "the prefix has '..' in it",
    "prefix-slash": "the prefix begins with '/': write s3://bucket/prefix with a single slash",
    "bucket-unnamed": "name the bucket: s3://bucket/prefix",
    "location-form": "write a location as agent:/absolute/path, agent:remote:path or s3://bucket/prefix",
    "time-zone": "{name} is not a time zone: write one like Europe/Berlin",
    "time-with-zone": "write the time alone, like 08:00, and its time zone in `zone`",
    "policy-name-route": "no policy can be called 'test': /policies/test is a route",
    "policy-test-year": "policies can be tested for times between the years 1970 and 9998",
    "object-tag-key": "{key}: the key of a tag has 1 to {limit} characters, which are letters, digits, "
    "spaces and _ . : / = + - @, and does not begin with aws:",
    "object-tag-value": "{key}: the value of a tag has at most {limit} characters, which are letters, "
    "digits, spaces and _ . : / = + - @",
    "object-tags-long": "the tags take {size} bytes in a request to S3: at most {limit} are possible",
    "agents-chosen-twice": "choose the agents in one way: agents, tags, or everyone",
    "percents-not-growing": "percents must grow from stage to stage",
    "time-beyond-calendar": "in UTC this is before the year 1 or after 9999",
}
"""Code → message, a template."""


def input_error(code: str, **parameters: str | int) -> PydanticCustomError:
    """Return the ValueError with the message of this code."""
    return PydanticCustomError(code, MESSAGES[code], parameters or None)
