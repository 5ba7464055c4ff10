"""Compare a stage's settings with those of its last deployment, and stop where the difference would delete.

The control stack writes the settings into an SSM parameter, so they are those of the last deployment that
succeeded.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.settings import NAMES, StageError, StageSettings

UNREAD = "unread"
"""What `-c accept=` is given to deploy although the last deployment's settings cannot be read."""


def parameter_name(stage: str) -> str:
    return f"/crosshaul/{stage}/settings"


@dataclass(frozen=True)
class SettingChange:
    """One setting that this deployment would change."""

    setting: str
    before: str
    after: str
    loss: str | None = None
    """What would be deleted or cut off; None: nothing."""

    def __str__(self) -> str:
        return f"{self.setting}: {self.before} → {self.after}"


def read_settings(ssm: Any, stage: str) -> dict[str, Any] | None:
    """Return the settings of the last deployment as the file would have them; None if there was none.

    Raises:
        StageError: They cannot be read.
    """
    name = parameter_name(stage)
    try:
        found: dict[str, Any] = json.loads(str(ssm.get_parameter(Name=name)["Parameter"].get("Value")))
    except ssm.exceptions.ParameterNotFound:
        return None
    except (ClientError, BotoCoreError, ValueError) as error:
        raise StageError(
            f"The settings of the last deployment of {stage} cannot be read, so what this one deletes is "
            f"not known: {error}\nGrant ssm:GetParameter on {name}, or deploy without the comparison: "
            f"-c accept={UNREAD}"
        ) from error
    return found


def differences(before: Mapping[str, Any], after: StageSettings) -> tuple[SettingChange, ...]:
    """Return what differs between the last deployment and this one, by setting."""
    wanted = after.shown()
    defaults = StageSettings().shown()
    return tuple(
        found
        for setting in dict.fromkeys((*wanted, *before))
        for found in _of_setting(setting, before.get(setting, defaults.get(setting)), wanted.get(setting))
    )


def check(before: Mapping[str, Any], after: StageSettings, accepted: frozenset[str]) -> tuple[str, ...]:
    """Return the differences as lines of text.

    Raises:
        StageError: One would delete something, and its setting is not in `accepted`.
    """
    found = differences(before, after)
    stops = [one for one in found if one.loss and one.setting not in accepted]
    if stops:
        reasons = "\n".join(f"  {one}\n    {one.loss}" for one in stops)
        names = ",".join(dict.fromkeys(one.setting for one in stops))
        raise StageError(
            f"This deployment would delete or cut off what is in use:\n{reasons}\n"
            f"If that is wanted: -c accept={names}"
        )
    return tuple(f"  {one}" for one in found)


def accepted_losses(context: Mapping[str, Any]) -> frozenset[str]:
    """Return the settings in `-c accept=`.

    Raises:
        StageError: One is not a setting.
    """
    names = {name.strip() for name in str(context.get("accept") or "").split(",") if name.strip()}
    if unknown := sorted(names - {*NAMES, UNREAD}):
        raise StageError(f"-c accept={','.join(unknown)}: write names of settings: {', '.join(NAMES)}")
    return frozenset(names)


def _of_setting(setting: str, before: Any, after: Any) -> Iterator[SettingChange]:
    if setting in _LISTS:
        yield from _of_list(setting, before or [], after)
    elif before != after:
        yield SettingChange(setting, _shown(before), _shown(after), _loss(setting, before, after))


_LISTS = {
    "buckets": "Transfers and templates of {name} would fail from then on.",
    "apiDomains": "Agents and people that still use https://{name} could not reach the API. Agents move to "
    "apiDomain within an hour after a deployment that still has both.",
}
"""Settings that are lists of tables, and what is lost with one of these."""


def _of_list(
    setting: str, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> Iterator[SettingChange]:
    old, new = (
        {str(one.get("name")): _without_defaults(one) for one in buckets} for buckets in (before, after)
    )
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield SettingChange(setting, name, "none", _LISTS[setting].format(name=name))
        elif name not in old:
            yield SettingChange(setting, "none", name)
        elif old[name] != new[name]:
            yield SettingChange(setting, _shown(old[name]), _shown(new[name]))


def _without_defaults(bucket: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in bucket.items() if value is not None}


def _loss(setting: str, before: Any, after: Any) -> str | None:
    match setting:
        case "manifestDays" if after < before:
            return f"S3 would delete all manifests that are older than {after} days."
        case "transferDays" if after < before:
            return f"Transfers that ended more than {after} days ago would be in the archive only."
        case "secondFactor" if before == "required":
            return "People could sign in with a password alone."
        case "requestsPerAddress" if before and not after:
            return "Nothing would limit the requests of one address any more."
        case "alarmEmail" if before:
            return f"{before} would get no more alarms."
        case "consoleDomain" if before and (after or {}).get("name") != before["name"]:
            return f"Install commands, bookmarks and sign-ins by https://{before['name']} would fail."
        case "commandKey" if after not in {before, before + 1}:
            return f"Agents know keys {before} and {before + 1} only, and would reject every command."
    return None


def _shown(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{name} {_shown(one)}" for name, one in value.items() if one is not None)
    return str(value)
