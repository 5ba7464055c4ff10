"""Authorization requests: principal, action, resource and context, as rules/schema.cedarschema defines them.

A transfer is authorized once for each hop, and once more for each destination with the transfer's own
source: a chain from A through B to C also needs permission from A to C.
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
DRAIN_AGENT, READ_LOG = "drain_agent", "read_log"
MANAGE_AGENT, MANAGE_TEMPLATE, MANAGE_POLICY = "manage_agent", "manage_template", "manage_policy"
ACTIONS = (TRANSFER, STOP, BROWSE, READ, READ_LOG, DRAIN_AGENT, MANAGE_AGENT, MANAGE_TEMPLATE, MANAGE_POLICY)

_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Tags = Mapping[AgentId, Mapping[str, str]]


_PERSON_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_person_id(text: str) -> bool:
    """Return whether this has the form of a `sub`, which no id of an agent or a template has."""
    return _PERSON_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Principal:
    """A signed-in user, or the owner of a template that starts a transfer."""

    id: str
    """The `sub` in the user pool: unique and immutable."""
    groups: tuple[str, ...] = ()
    address: str | None = None
    """IP address of the request."""
    name: str = ""
    """E-mail address, for display only; the id if left out."""
    gone: bool = False
    """Deleted or disabled: every request is refused, whatever policies permit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.id)

    @property
    def actor(self) -> Actor:
        """Return the actor that audit records and timelines name."""
        return Actor(id=self.id, name=self.name)


@dataclass(frozen=True)
class Resource:
    """A Cedar entity: a resource, a principal or a group of them."""

    kind: str
    name: str
    parents: tuple["Resource", ...] = ()
    named: bool = True
    """Whether the entity has its name as an attribute."""

    @property
    def uid(self) -> dict[str, str]:
        return {"type": self.kind, "id": _text(self.name)}

    def written(self) -> Iterator[dict[str, Any]]:
        """Yield the entity and its parents in Cedar's JSON form."""
        attributes = {"name": _text(self.name)} if self.named else {}
        yield {"uid": self.uid, "attrs": attributes, "parents": [parent.uid for parent in self.parents]}
        for parent in self.parents:
            yield from parent.written()


SYSTEM = Resource("System", "crosshaul", named=False)


def principal_resource(person: Principal) -> Resource:
    groups = tuple(Resource("Group", name, named=False) for name in person.groups)
    return Resource("User", person.id, groups, named=False)


def agent_resource(agent_id: AgentId, tags: Mapping[str, str]) -> Resource:
    groups = tuple(Resource("Tag", f"{key}={value}", named=False) for key, value in tags.items())
    return Resource("Agent", agent_id, groups)


def bucket_resource(bucket: str) -> Resource:
    return Resource("Bucket", bucket)


def template_resource(template_id: str) -> Resource:
    return Resource("Template", template_id)


@dataclass(frozen=True)
class AuthorizationRequest:
    """One request for authorization: this principal wants to do this to that resource."""

    principal: Principal
    action: str
    resource: Resource = SYSTEM
    context: Mapping[str, Any] = field(default_factory=dict)
    about: tuple[Resource, ...] = ()
    """Further entities that the context refers to."""

    @property
    def source(self) -> str:
        """Return the source of a movement, as people write locations."""
        end = self.context.get("source_agent") or self.context["source_bucket"]
        return _location_text(end["__entity"]["type"], end["__entity"]["id"], self.context["source_path"])

    @property
    def destination(self) -> str:
        """Return the destination of a movement, as people write locations."""
        return _location_text(self.resource.kind, self.resource.name, self.context["destination_path"])

    @property
    def cedar_request(self) -> dict[str, Any]:
        return {
            "principal": principal_resource(self.principal).uid,
            "action": {"type": "Action", "id": self.action},
            "resource": self.resource.uid,
            "context": dict(self.context),
        }

    @property
    def entities_text(self) -> str:
        found = {}
        for resource in (principal_resource(self.principal), self.resource, *self.about):
            for entity in resource.written():
                found[entity["uid"]["type"], entity["uid"]["id"]] = entity
        return json.dumps(list(found.values()))


def _location_text(kind: str, name: str, path: str) -> str:
    return f"{name}:{path}" if kind == "Agent" else f"s3://{name}{path}"


@dataclass(frozen=True)
class RequestTime:
    """The time of a request, in the time zone in which policies see it."""

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
    """Return the request about one resource."""
    return AuthorizationRequest(person, action, resource, {**context, "time": now.context})


def movements(
    person: Principal, action: str, transfer: Transfer, tags: Tags, now: RequestTime, size: int | None = None
) -> list[AuthorizationRequest]:
    """Return one request for each distinct movement of a transfer.

    `tags` has the tags of every agent that takes part, `size` is in bytes.
    """
    ends = [(hop.source, hop.destination) for hop in transfer.hops]
    ends += [(transfer.source, hop.destination) for hop in transfer.hops]
    shared = _shared(transfer, now, size)
    return [_movement(person, action, pair, tags, shared, transfer) for pair in dict.fromkeys(ends)]


def browsing(
    person: Principal, transfer: Transfer, tags: Tags, now: RequestTime
) -> list[AuthorizationRequest]:
    """Return one request to browse for each place of a transfer; together they decide a dry run.

    It reads at both ends what browsing shows, and writes nothing.
    """
    places = dict.fromkeys(place for hop in transfer.hops for place in (hop.source, hop.destination))
    return [simple(person, BROWSE, _end(place, tags), now, path=path_of(place)) for place in places]


def _movement(
    person: Principal,
    action: str,
    ends: tuple[Location, Location],
    tags: Tags,
    shared: Mapping[str, Any],
    transfer: Transfer,
) -> AuthorizationRequest:
    source, destination = ends
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
    """Return the context that all of a transfer's movements share."""
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
    """Return the path that policies match, with a slash at both ends.

    Thus a pattern for everything below a directory also matches the directory. The path on a remote begins
    with the remote's name, as no path of the agent itself does: `archive:/photos/`.
    """
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
    """Return the text as valid UTF-8, which Cedar requires; other bytes become the replacement character."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def tags_of(agents: Iterable[Agent]) -> dict[AgentId, Mapping[str, str]]:
    return {agent.agent_id: agent.tags for agent in agents}
