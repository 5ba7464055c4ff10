"""Objects arrive in S3, and templates start: one transfer per template from a batch (docs/adr/009)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lambdas.audit.recorder import AuditEvent
from lambdas.domain.authorization import Principal
from lambdas.domain.errors import ForbiddenError, RefusedError, StaleError, TemplateUnknownError
from lambdas.domain.object_batch import ObjectBatch, ObjectCreated, batch, can_be_a_file, dedupe_key
from lambdas.domain.plan import TransferSpec
from lambdas.domain.template import Template
from lambdas.domain.timeline import by_template
from lambdas.ports import AuthorizeTransfer, Clock
from lambdas.store.base import Writes
from lambdas.store.dedupe import DedupeStore
from lambdas.store.templates import TemplateStore
from lambdas.telemetry import count, logger


class TransferCreator(Protocol):
    """Where transfers are asked for."""

    def create_from_template(
        self, wish: TransferSpec, template_id: str, sameness: str, also: Writes, permit: AuthorizeTransfer
    ) -> str:
        """Raises StaleError, RefusedError, ForbiddenError."""


class TemplateAuthorizer(Protocol):
    """Whether a template may, as its owner."""

    def for_template(self, template: Template, size: int) -> AuthorizeTransfer: ...


class RefusalRecorder(Protocol):
    """Where they are recorded."""

    def record_refusal(self, person: Principal, deed: AuditEvent, why: str) -> None: ...


@dataclass(frozen=True)
class Failure:
    """A gathering that could not be handled now, and why."""

    arrivals: tuple[ObjectCreated, ...]
    error: Exception


class ObjectEventHandler:
    def __init__(
        self,
        templates: TemplateStore,
        dedupe: DedupeStore,
        desk: TransferCreator,
        leave: TemplateAuthorizer,
        refusals: RefusalRecorder,
        clock: Clock,
    ) -> None:
        self._templates = templates
        self._dedupe = dedupe
        self._desk = desk
        self._leave = leave
        self._refusals = refusals
        self._clock = clock

    def handle(self, arrivals: Sequence[ObjectCreated]) -> list[Failure]:
        """Start what is to be started; returns what failed and should be tried again.

        To handle an arrival again is harmless: it is marked in the transaction that writes its transfer.
        """
        failures: list[Failure] = []
        for gathering in self._gatherings(arrivals):
            try:
                self._handle(gathering)
            except Exception as error:
                logger.exception("objects not handled", extra={"template_id": gathering.template.template_id})
                failures.append(Failure(gathering.arrivals, error))
        return failures

    def _gatherings(self, arrivals: Sequence[ObjectCreated]) -> Iterable[ObjectBatch]:
        wanted = [one for one in arrivals if not (one.is_folder_marker or one.is_ours)]
        for bucket in dict.fromkeys(one.bucket for one in wanted):
            for template in self._templates.of_bucket(bucket):
                matching = [one for one in wanted if template.matches(one.bucket, one.key)]
                yield from batch(template, _carriable(template, matching))

    def _handle(self, gathering: ObjectBatch) -> None:
        template = self._as_it_is(gathering)
        if template is None:
            return
        try:
            self._begin(gathering)
        except StaleError:
            rest = self._not_yet_handled(gathering)
            if len(rest.arrivals) == len(gathering.arrivals):
                raise
            if rest.arrivals:
                self._begin(rest)
        except (RefusedError, ForbiddenError) as error:
            # It will not be better later: say so where people look for it, and go on.
            keys = {"template_id": template.template_id, "problem": error.problem.message}
            logger.error("template cannot be carried out", extra=keys)
            self._refusals.record_refusal(
                Principal(by_template(template.template_id).id), _deed(template, error), error.problem.message
            )
            count("TemplatesRefused")

    def _as_it_is(self, gathering: ObjectBatch) -> Template | None:
        """The template read again, since the index may lag; None if it has changed or gone meanwhile."""
        try:
            template = self._templates.get(gathering.template.template_id)
        except TemplateUnknownError:
            return None
        return template if template == gathering.template else None

    def _begin(self, gathering: ObjectBatch) -> None:
        template, marks = gathering.template, gathering.dedupe_keys
        marking = self._dedupe.writes_for(marks, self._clock())
        permit = self._leave.for_template(template, gathering.size)
        transfer_id = self._desk.create_from_template(
            template.spec(gathering.selection), template.template_id, "\n\n".join(marks), marking, permit
        )
        keys = {"template_id": template.template_id, "objects": len(marks), "transfer_id": transfer_id}
        logger.info("template started", extra=keys)
        count("ObjectsGathered", len(marks))

    def _not_yet_handled(self, gathering: ObjectBatch) -> ObjectBatch:
        marked = self._dedupe.seen(gathering.dedupe_keys)
        fresh = [one for one in gathering.arrivals if dedupe_key(gathering.template, one) not in marked]
        return ObjectBatch(gathering.template, tuple(fresh))


def _deed(template: Template, error: RefusedError | ForbiddenError) -> AuditEvent:
    policies = error.policies if isinstance(error, ForbiddenError) else ()
    return AuditEvent(
        action="transfer.requested",
        about=f"template {template.template_id}",
        agents=template.agents,
        policies=policies,
    )


def _carriable(template: Template, arrivals: Iterable[ObjectCreated]) -> list[ObjectCreated]:
    """Without those whose keys no file could have."""
    good = []
    for arrival in arrivals:
        if can_be_a_file(template.relative(arrival.key)):
            good.append(arrival)
        else:
            keys = {"bucket": arrival.bucket, "key": arrival.key}
            logger.warning("key cannot be a file's name", extra=keys)
            count("ObjectsRefused")
    return good
