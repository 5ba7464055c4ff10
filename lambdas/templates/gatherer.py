"""Gather objects that arrive one by one, so that many travel in one transfer (docs/adr/036).

Every object that is kept has a message under way that will collect it: the message is sent before the note
that others rely on is written, and who notices that the note has run out meanwhile sends one more. A
collection takes all that its template has, so that a spare message finds nothing.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Protocol

from events.requests import TemplateId
from lambdas.audit.recorder import AuditEvent
from lambdas.domain.authorization import Principal
from lambdas.domain.object_batch import GatheringDue, ObjectCreated
from lambdas.domain.plan import MAX_SELECTED
from lambdas.domain.template import Template
from lambdas.domain.timeline import by_template
from lambdas.ports import Clock
from lambdas.store.gathered import GatheredStore
from lambdas.telemetry import logger
from lambdas.templates.starter import RefusalRecorder, TransferStarter

CLOCK_SKEW = timedelta(seconds=2)
"""Largest difference between the clocks of two functions, and SQS's."""
COLLECT_BATCH_SIZE = 5 * MAX_SELECTED
"""Objects that are read at once: some transfers' worth."""
MAX_WORK = timedelta(seconds=30)
"""Time from the start of a call after which it collects no more; the function ends after a minute."""
MAX_CALLS = 1000
"""Calls that work off one gathering: over eight hours, some twenty million objects. Each sends the message
for the next one, and Lambda's detection of such loops is off, since it ends them after sixteen."""
_NAMED = 3
"""Keys that the audit names of objects that are left; the log names all."""
_LOGGED = 50
"""Keys in one line of the log: CloudWatch takes 256 KB, and a key has up to 3 KB as JSON."""


class CollectTimer(Protocol):
    """Has a template's gathered objects collected."""

    def collect_at(self, template_id: TemplateId, when: datetime, calls: int = 0) -> None:
        """Have them collected at this time, or soon if that has passed; at least once.

        `calls` have worked off the same gathering before.
        """


class GatheringEndlessError(Exception):
    """A gathering is not worked off after `MAX_CALLS`: its objects are kept for the next one."""


class Gatherer:
    """Keeps objects until they are due, and then starts their transfers."""

    def __init__(
        self,
        gathered: GatheredStore,
        starter: TransferStarter,
        refusals: RefusalRecorder,
        timer: CollectTimer,
        clock: Clock,
        *,
        at_once: int = COLLECT_BATCH_SIZE,
    ) -> None:
        self._gathered = gathered
        self._starter = starter
        self._refusals = refusals
        self._timer = timer
        self._clock = clock
        self._at_once = at_once

    def gather(self, template: Template, objects: Collection[ObjectCreated]) -> None:
        """Keep these objects until the template's gathering is due; the first one opens it."""
        template_id, now = template.template_id, self._clock()
        until = self._gathered.until(template_id)
        if until is None or until <= now:
            until = now + timedelta(seconds=template.trigger.gather_seconds)
            self._timer.collect_at(template_id, until)
            self._gathered.open(template_id, until)
        self._gathered.add(template_id, objects)
        now = self._clock()
        if now >= until - CLOCK_SKEW:
            # The collection may have been before this.
            self._timer.collect_at(template_id, now + 2 * CLOCK_SKEW)

    def collect(self, due: GatheringDue, end: datetime) -> None:
        """Start the transfers of all that a template has gathered; what is left at `end` gets a message.

        Objects that it no longer wants, since it was disabled, changed or removed, are told in the audit, and
        named in the log.

        Raises:
            GatheringEndlessError: Some are left after the last call.
        """
        template_id = due.gathered_for
        while objects := self._gathered.some(template_id, self._at_once):
            if self._clock() >= end:
                if due.calls >= MAX_CALLS:
                    raise GatheringEndlessError(template_id)
                self._timer.collect_at(template_id, self._clock(), due.calls + 1)
                return
            left = self._starter.start(template_id, sorted(objects, key=lambda created: created.key))
            if left:
                self._record(template_id, left)
            self._gathered.remove(template_id, objects)

    def _record(self, template_id: TemplateId, left: list[ObjectCreated]) -> None:
        names = [f"s3://{created.bucket}/{created.key}" for created in left]
        first = ", ".join(names[:_NAMED])
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        why = f"The template was disabled, changed or removed while it gathered {first}{more}."
        for start in range(0, len(names), _LOGGED):
            keys = {"template_id": template_id, "objects": names[start : start + _LOGGED]}
            logger.warning("gathered objects left", extra=keys)
        event = AuditEvent(action="transfer.requested", about=f"template {template_id}")
        self._refusals.record_refusal(Principal(by_template(template_id).id), event, why)
