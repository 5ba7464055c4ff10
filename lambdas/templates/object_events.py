"""Start templates for objects created in S3: one transfer per template and batch (docs/adr/009)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

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


@dataclass(frozen=True)
class Failure:
    """Objects that could not be handled now, and why."""

    objects: tuple[ObjectCreated, ...]
    error: Exception


class ObjectEventHandler:
    """Starts the templates that match created objects."""

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

    def handle(self, objects: Sequence[ObjectCreated]) -> list[Failure]:
        """Start the templates that match these objects; return what failed and should be retried.

        Handling an object again is harmless: the transaction that writes its transfer marks it.
        """
        failures: list[Failure] = []
        for object_batch in self._batches(objects):
            try:
                self._handle(object_batch)
            except Exception as error:
                logger.exception(
                    "objects not handled", extra={"template_id": object_batch.template.template_id}
                )
                failures.append(Failure(object_batch.objects, error))
        return failures

    def _batches(self, objects: Sequence[ObjectCreated]) -> Iterable[ObjectBatch]:
        wanted = [one for one in objects if not (one.is_folder_marker or one.is_ours)]
        for bucket in dict.fromkeys(one.bucket for one in wanted):
            for template in self._templates.of_bucket(bucket):
                matching = [one for one in wanted if template.matches(one.bucket, one.key)]
                yield from batch(template, matching)

    def _handle(self, object_batch: ObjectBatch) -> None:
        template = self._current_template(object_batch)
        if template is None:
            return
        try:
            self._begin(object_batch)
        except StaleError:
            rest = self._unhandled(object_batch)
            if len(rest.objects) == len(object_batch.objects):
                raise
            if rest.objects:
                self._begin(rest)
        except (RefusedError, ForbiddenError) as error:
            # A retry would not help: record the refusal in the audit, and continue.
            keys = {"template_id": template.template_id, "problem": error.problem.message}
            logger.error("template cannot be carried out", extra=keys)
            self._refusals.record_refusal(
                Principal(by_template(template.template_id).id),
                _audit_event(template, error),
                error.problem.message,
            )
            count(TEMPLATES_REFUSED)

    def _current_template(self, object_batch: ObjectBatch) -> Template | None:
        """Return the template read from the table, since the index may lag; None if it has changed."""
        try:
            template = self._templates.get(object_batch.template.template_id)
        except TemplateUnknownError:
            return None
        return template if template == object_batch.template else None

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
