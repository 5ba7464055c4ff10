"""Templates: standing orders for objects that arrive in S3, and the loops that they must not make."""

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
    template_id: TemplateId
    description: str
    trigger: ObjectTrigger
    destinations: tuple[Location, ...]
    shape: Shape
    options: Options
    enabled: bool
    owner: Actor
    """It acts as this person."""
    changed_by: Actor
    """Whoever wrote it last: it does nothing that this person may not, either."""
    created_at: datetime
    updated_at: datetime
    version: int = 1

    @property
    def source(self) -> S3Location:
        """What the selected keys are relative to: the trigger's prefix, up to its last slash."""
        folder, slash, _ = self.trigger.prefix.rpartition("/")
        return S3Location(bucket=self.trigger.bucket, prefix=folder + slash)

    @property
    def agents(self) -> tuple[AgentId, ...]:
        found = [agent_of(place) for place in self.destinations]
        return tuple(dict.fromkeys(agent_id for agent_id in found if agent_id))

    def matches(self, bucket: str, key: str) -> bool:
        """Does an object of this name start it?"""
        trigger = self.trigger
        fits = key.startswith(trigger.prefix) and key.endswith(trigger.suffix)
        return self.enabled and bucket == trigger.bucket and fits

    def relative(self, key: str) -> str:
        """A key as the part of it that is kept below every destination."""
        return key.removeprefix(self.source.prefix)

    def spec(self, selection: tuple[str, ...] | None) -> TransferSpec:
        """The transfer it stands for, of these keys, relative to its source."""
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
    """The template that a request makes, in the place of an old one if there is one."""
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
    """Raise LoopError if what this template writes would, sooner or later, start it again."""
    known = [other for other in others if other.template_id != new.template_id]
    path = _way_back(new, new, [one for one in (new, *known) if one.enabled], frozenset())
    if not new.enabled or path is None:
        return
    way = " → ".join(one.template_id for one in path)
    raise LoopError(
        f"What {new.template_id} writes to S3 would start it again: {way} → {new.template_id}.",
        "Write to a prefix or a bucket that starts no template of this circle.",
    )


def _way_back(
    start: Template, at: Template, all_of_them: list[Template], seen: frozenset[str]
) -> list[Template] | None:
    """The templates from here back to the start, each started by the one before; None if none leads there."""
    for following in (one for one in all_of_them if _starts(at, one)):
        if following.template_id == start.template_id:
            return [at]
        if following.template_id in seen:
            continue
        further = _way_back(start, following, all_of_them, seen | {following.template_id})
        if further:
            return [at, *further]
    return None


def _starts(one: Template, other: Template) -> bool:
    """May something that one template writes start the other?"""
    places = [place for place in one.destinations if isinstance(place, S3Location)]
    return any(_may_meet(place, one.trigger.suffix, other.trigger) for place in places)


def _may_meet(place: S3Location, suffix: str, trigger: ObjectTrigger) -> bool:
    """Keys below the place, with this suffix, and keys that the trigger takes: may they be the same?"""
    if place.bucket != trigger.bucket:
        return False
    prefixes = place.prefix.startswith(trigger.prefix) or trigger.prefix.startswith(place.prefix)
    return prefixes and (suffix.endswith(trigger.suffix) or trigger.suffix.endswith(suffix))
