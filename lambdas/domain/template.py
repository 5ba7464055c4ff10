"""Templates: transfers started by objects that are created in S3, and the loops that they must not form."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from events.base import Actor, AgentId
from events.locations import Location, S3Location, agent_of
from events.options import Options
from events.requests import ObjectTrigger, Shape, TemplateId, TemplateRequest
from lambdas.domain.errors import LoopError
from lambdas.domain.plan import TransferSpec


@dataclass(frozen=True, kw_only=True)
class Template:
    """A stored template: trigger, destinations and options."""

    template_id: TemplateId
    description: str
    trigger: ObjectTrigger
    destinations: tuple[Location, ...]
    shape: Shape
    options: Options
    enabled: bool
    owner: Actor
    """The template's transfers run on behalf of this person."""
    changed_by: Actor
    """Last editor; the template's transfers must be permitted for this person, too."""
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def source(self) -> S3Location:
        """Return the base of selected keys: the trigger's prefix, up to its last slash."""
        folder, slash, _ = self.trigger.prefix.rpartition("/")
        return S3Location(bucket=self.trigger.bucket, prefix=folder + slash)

    @property
    def agents(self) -> tuple[AgentId, ...]:
        """Return the agents of the destinations, each once."""
        found = [agent_of(destination) for destination in self.destinations]
        return tuple(dict.fromkeys(agent_id for agent_id in found if agent_id))

    def matches(self, bucket: str, key: str) -> bool:
        """Return whether the creation of this object starts the template."""
        trigger = self.trigger
        fits = key.startswith(trigger.prefix) and key.endswith(trigger.suffix)
        return self.enabled and bucket == trigger.bucket and fits

    def relative(self, key: str) -> str:
        """Return the part of a key that is kept below every destination."""
        return key.removeprefix(self.source.prefix)

    def spec(self, selection: tuple[str, ...] | None) -> TransferSpec:
        """Return the spec of a transfer of these keys, which are relative to `source`."""
        return TransferSpec(
            source=self.source,
            destinations=self.destinations,
            shape=self.shape,
            options=self.options,
            selection=selection,
            template_id=self.template_id,
            owner=self.owner,
        )


def written(request: TemplateRequest, by: Actor, now: datetime, old: Template | None = None) -> Template:
    """Return the template that a request describes, as the next version of the old one if there is one."""
    return Template(
        template_id=request.name,
        description=request.description,
        trigger=request.trigger,
        destinations=request.destinations,
        shape=request.shape,
        options=request.options,
        enabled=request.enabled,
        owner=old.owner if old else by,
        changed_by=by,
        created_at=old.created_at if old else now,
        updated_at=now,
        version=old.version + 1 if old else 1,
    )


def check_loops(new: Template, others: Iterable[Template]) -> None:
    """Raise LoopError if objects that this template writes would start it again, directly or not.

    The error names the shortest loop. Each template is visited once, however many ways lead to it.
    """
    if not new.enabled:
        return
    unvisited = {one.template_id: one for one in others if one.enabled and one.template_id != new.template_id}
    queue = deque[tuple[Template, ...]]([(new,)])
    while queue:
        path = queue.popleft()
        if _starts(path[-1], new):
            raise LoopError(tuple(template.template_id for template in path))
        following = [one for one in unvisited.values() if _starts(path[-1], one)]
        for template in following:
            del unvisited[template.template_id]
            queue.append((*path, template))


def _starts(one: Template, other: Template) -> bool:
    """Return whether an object that one template writes may start the other."""
    written_to = [location for location in one.destinations if isinstance(location, S3Location)]
    return any(_may_match(location, one.trigger.suffix, other.trigger) for location in written_to)


def _may_match(location: S3Location, suffix: str, trigger: ObjectTrigger) -> bool:
    """Return whether a key below the location, with this suffix, may match the trigger."""
    if location.bucket != trigger.bucket:
        return False
    prefixes = location.prefix.startswith(trigger.prefix) or trigger.prefix.startswith(location.prefix)
    return prefixes and (suffix.endswith(trigger.suffix) or trigger.suffix.endswith(suffix))
