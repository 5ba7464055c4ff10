"""Who asks what of whom: the questions that policies answer, in the words of rules/schema.cedarschema.

A movement is asked about once for each hop, and once more for each destination with the transfer's own
source: what goes from A by B to C needs leave to go from A to C.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from events.base import Actor, AgentId
from events.locations import Location, RemoteLocation, S3Location, base_name, inner_path, stands_for_contents
from lambdas.domain.agent import Agent
from lambdas.domain.hop import route_of
from lambdas.domain.transfer import Transfer

TRANSFER, STOP, BROWSE, READ = "transfer", "stop", "browse", "read"
MANAGE_AGENT, MANAGE_TEMPLATE, MANAGE_POLICY = "manage_agent", "manage_template", "manage_policy"
ACTIONS = (TRANSFER, STOP, BROWSE, READ, MANAGE_AGENT, MANAGE_TEMPLATE, MANAGE_POLICY)

_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Tags = Mapping[AgentId, Mapping[str, str]]


_PERSON_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_person_id(text: str) -> bool:
    """Return whether this has the form of a `sub`. No id of an agent, a template or Crosshaul has."""
    return _PERSON_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Principal:
    """Somebody signed in, or the owner of a template that acts."""

    id: str
    """The `sub` in the user pool: given out once, to be changed by nobody."""
    groups: tuple[str, ...] = ()
    address: str | None = None
    """Where the request came from."""
    name: str = ""
    """The e-mail address, to be shown and for nothing else; left out: the id."""
    gone: bool = False
    """Deleted or disabled: nothing is done for them any more, whatever policies permit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.id)

    @property
    def actor(self) -> Actor:
        """As it is written down of what this person does."""
        return Actor(id=self.id, name=self.name)


@dataclass(frozen=True)
class Resource:
    """An entity: what may be asked about."""

    kind: str
    name: str
    parents: tuple["Resource", ...] = ()
    named: bool = True
    """Has it an attribute with its name?"""

    @property
    def uid(self) -> dict[str, str]:
        return {"type": self.kind, "id": _text(self.name)}

    def written(self) -> Iterator[dict[str, Any]]:
        """It and its parents, as Cedar reads entities."""
        attributes = {"name": _text(self.name)} if self.named else {}
        yield {"uid": self.uid, "attrs": attributes, "parents": [one.uid for one in self.parents]}
        for parent in self.parents:
            yield from parent.written()


SYSTEM = Resource("System", "crosshaul", named=False)


def principal_resource(person: Principal) -> Resource:
    groups = tuple(Resource("Group", name, named=False) for name in person.groups)
    return Resource("User", person.id, groups, named=False)


def agent_resource(agent_id: AgentId, tags: Mapping[str, str]) -> Resource:
    marks = tuple(Resource("Tag", f"{key}={value}", named=False) for key, value in tags.items())
    return Resource("Agent", agent_id, marks)


def bucket_resource(bucket: str) -> Resource:
    return Resource("Bucket", bucket)


def template_resource(template_id: str) -> Resource:
    return Resource("Template", template_id)


@dataclass(frozen=True)
class AuthorizationRequest:
    """May this person do this to that?"""

    principal: Principal
    action: str
    resource: Resource = SYSTEM
    context: Mapping[str, Any] = field(default_factory=dict)
    about: tuple[Resource, ...] = ()
    """Other things that the context names."""

    @property
    def source(self) -> str:
        """Where a movement starts, in words."""
        end = self.context.get("source_agent") or self.context["source_bucket"]
        return _words(end["__entity"]["type"], end["__entity"]["id"], self.context["source_path"])

    @property
    def destination(self) -> str:
        """Where a movement ends, in words."""
        return _words(self.resource.kind, self.resource.name, self.context["destination_path"])

    @property
    def request(self) -> dict[str, Any]:
        return {
            "principal": principal_resource(self.principal).uid,
            "action": {"type": "Action", "id": self.action},
            "resource": self.resource.uid,
            "context": dict(self.context),
        }

    @property
    def entities_text(self) -> str:
        found = {}
        for thing in (principal_resource(self.principal), self.resource, *self.about):
            for one in thing.written():
                found[one["uid"]["type"], one["uid"]["id"]] = one
        return json.dumps(list(found.values()))


def _words(kind: str, name: str, path: str) -> str:
    return f"{name}:{path}" if kind == "Agent" else f"s3://{name}{path}"


@dataclass(frozen=True)
class RequestTime:
    """A moment, as policies speak of time: in one named zone."""

    at: datetime
    zone: str = "UTC"

    @property
    def context(self) -> dict[str, Any]:
        here = self.at.astimezone(ZoneInfo(self.zone))
        instant = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "instant": {"__extn": {"fn": "datetime", "arg": instant}},
            "zone": self.zone,
            "date": f"{here:%Y-%m-%d}",
            "weekday": _WEEK[here.weekday()],
            "hour": here.hour,
            "minute": here.minute,
        }


def simple(
    person: Principal, action: str, resource: Resource, now: RequestTime, **context: Any
) -> AuthorizationRequest:
    """A question about one thing."""
    return AuthorizationRequest(person, action, resource, {**context, "time": now.context})


def movements(
    person: Principal, action: str, transfer: Transfer, tags: Tags, now: RequestTime, size: int | None = None
) -> list[AuthorizationRequest]:
    """Every question that a transfer raises, none twice. `tags` of every agent that takes part."""
    ways = [(hop.source, hop.destination) for hop in transfer.hops]
    ways += [(transfer.source, hop.destination) for hop in transfer.hops]
    shared = _shared(transfer, now, size)
    return [_movement(person, action, *way, tags, shared, transfer) for way in dict.fromkeys(ways)]


def _movement(
    person: Principal, action: str, source: Location, destination: Location, tags: Tags,
    shared: Mapping[str, Any], transfer: Transfer,
) -> AuthorizationRequest:  # fmt: skip
    start, end = _end(source, tags), _end(destination, tags)
    context = {
        **shared,
        f"source_{start.kind.lower()}": {"__entity": start.uid},
        "source_path": path_of(source),
        "destination_path": path_of(destination),
        "route": route_of(source, destination),
    }
    template = (template_resource(transfer.template_id),) if transfer.template_id else ()
    return AuthorizationRequest(person, action, end, context, (start, *template))


def _shared(transfer: Transfer, now: RequestTime, size: int | None) -> dict[str, Any]:
    """What is the same for all of a transfer's movements."""
    options = transfer.options
    given = {
        "size": size,
        "bandwidth_limit": options.bandwidth_limit,
        "template": {"__entity": template_resource(transfer.template_id).uid}
        if transfer.template_id
        else None,
    }
    return {
        **{name: value for name, value in given.items() if value is not None},
        "types": sorted(_types(transfer)),
        "overwrite": options.overwrite,
        "verify": options.verify,
        "symlinks": options.symlinks,
        "relay": options.relay,
        "time": now.context,
    }


def _end(location: Location, tags: Tags) -> Resource:
    if isinstance(location, S3Location):
        return bucket_resource(location.bucket)
    return agent_resource(location.agent_id, tags.get(location.agent_id, {}))


def path_of(location: Location) -> str:
    """With a slash at both ends, so that a pattern for what lies below a directory fits it, too. A remote's
    begins with its name, as no path on the agent itself does: `archive:/photos/`."""
    inner = inner_path(location).strip("/")
    top = f"{location.remote}:" if isinstance(location, RemoteLocation) else ""
    return _text(f"{top}/{inner}/" if inner else f"{top}/")


def _types(transfer: Transfer) -> set[str]:
    named = [] if stands_for_contents(transfer.source) else [base_name(transfer.source)]
    endings = {_ending(path) for path in [*named, *(transfer.selection or ())]}
    return endings - {""}


def _ending(path: str) -> str:
    stem, dot, ending = path.rpartition("/")[2].rpartition(".")
    return _text(ending.lower()) if dot and stem else ""


def _text(text: str) -> str:
    """Cedar reads UTF-8: a byte of a name that is none becomes the sign for what cannot be read."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def tags_of(agents: Iterable[Agent]) -> dict[AgentId, Mapping[str, str]]:
    return {agent.agent_id: agent.tags for agent in agents}
