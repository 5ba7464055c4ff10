"""Start a template's transfers for objects, each object once (docs/adr/009)."""

from collections.abc import Iterable
from typing import Protocol

from events.requests import TemplateId
from lambdas.audit.recorder import AuditEvent
from lambdas.domain.authorization import Principal
from lambdas.domain.errors import ForbiddenError, RefusedError, StaleError, TemplateUnknownError
from lambdas.domain.object_batch import ObjectBatch, ObjectCreated, batch, dedupe_key
from lambdas.domain.plan import TransferSpec
from lambdas.domain.template import Template
from lambdas.domain.timeline import by_template
from lambdas.ports import AuthorizeTransfer, Clock
from lambdas.store.base import Writes
from lambdas.store.dedupe import DedupeStore
from lambdas.store.templates import TemplateStore
from lambdas.telemetry import TEMPLATES_REFUSED, TEMPLATES_STARTED, count, logger


class TransferCreator(Protocol):
    """Creates transfers."""

    def create_from_template(
        self,
        spec: TransferSpec,
        template_id: str,
        idempotency_key: str,
        also: Writes,
        permit: AuthorizeTransfer,
    ) -> str:
        """Create a transfer and return its id; raise StaleError, RefusedError or ForbiddenError."""


class TemplateAuthorizer(Protocol):
    """Authorizes a template's transfers on behalf of its owner."""

    def for_template(self, template: Template, size: int) -> AuthorizeTransfer: ...


class RefusalRecorder(Protocol):
    """Records refusals in the audit."""

    def record_refusal(self, person: Principal, event: AuditEvent, why: str, /) -> None: ...


class TransferStarter:
    """Starts transfers of a template, and marks their objects as handled."""

    def __init__(
        self,
        templates: TemplateStore,
        dedupe: DedupeStore,
        transfers: TransferCreator,
        authorizer: TemplateAuthorizer,
        refusals: RefusalRecorder,
        clock: Clock,
    ) -> None:
        self._templates = templates
        self._dedupe = dedupe
        self._transfers = transfers
        self._authorizer = authorizer
        self._refusals = refusals
        self._clock = clock

    def start(self, template_id: TemplateId, objects: Iterable[ObjectCreated]) -> list[ObjectCreated]:
        """Start as few transfers of these objects as the limits allow; return what the template leaves.

        The template is the one in the table now: it may have been changed, disabled or removed since the
        objects were matched with it. Starting an object again is harmless: the transaction that writes its
        transfer marks it.
        """
        objects = list(objects)
        try:
            template = self._templates.get(template_id)
        except TemplateUnknownError:
            return objects
        matching = [created for created in objects if template.matches(created.bucket, created.key)]
        for object_batch in batch(template, matching):
            self._start(object_batch)
        return [created for created in objects if created not in set(matching)]

    def _start(self, object_batch: ObjectBatch) -> None:
        try:
            self._begin_unhandled(object_batch)
        except (RefusedError, ForbiddenError) as error:
            # A retry would not help: record the refusal in the audit, and continue.
            template = object_batch.template
            keys = {"template_id": template.template_id, "problem": error.problem.message}
            logger.error("template cannot be carried out", extra=keys)
            self._refusals.record_refusal(
                Principal(by_template(template.template_id).id),
                _audit_event(template, error),
                error.problem.message,
            )
            count(TEMPLATES_REFUSED)

    def _begin_unhandled(self, object_batch: ObjectBatch) -> None:
        """Begin the transfer, without objects that were handled before."""
        try:
            self._begin(object_batch)
        except StaleError:
            rest = self._unhandled(object_batch)
            if len(rest.objects) == len(object_batch.objects):
                raise
            if rest.objects:
                self._begin(rest)

    def _begin(self, object_batch: ObjectBatch) -> None:
        template, marks = object_batch.template, object_batch.dedupe_keys
        marking = self._dedupe.writes_for(marks, self._clock())
        permit = self._authorizer.for_template(template, object_batch.size)
        transfer_id = self._transfers.create_from_template(
            template.spec(object_batch.selection), template.template_id, "\n\n".join(marks), marking, permit
        )
        keys = {"template_id": template.template_id, "objects": len(marks), "transfer_id": transfer_id}
        logger.info("template started", extra=keys)
        count(TEMPLATES_STARTED)
        count("ObjectsGathered", len(marks))

    def _unhandled(self, object_batch: ObjectBatch) -> ObjectBatch:
        marked = self._dedupe.seen(object_batch.dedupe_keys)
        fresh = [one for one in object_batch.objects if dedupe_key(object_batch.template, one) not in marked]
        return ObjectBatch(object_batch.template, tuple(fresh))


def _audit_event(template: Template, error: RefusedError | ForbiddenError) -> AuditEvent:
    policies = error.policies if isinstance(error, ForbiddenError) else ()
    return AuditEvent(
        action="transfer.requested",
        about=f"template {template.template_id}",
        agents=template.agents,
        policies=policies,
    )
