"""Match created objects with templates: start their transfers at once, or gather them first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lambdas.domain.object_batch import ObjectBatch, ObjectCreated, batch
from lambdas.store.templates import TemplateStore
from lambdas.telemetry import logger
from lambdas.templates.gatherer import Gatherer
from lambdas.templates.starter import TransferStarter


@dataclass(frozen=True)
class FailedObjects:
    """Objects that could not be handled now, and why."""

    objects: tuple[ObjectCreated, ...]
    error: Exception


class ObjectEventHandler:
    """Gives created objects to the templates that match them."""

    def __init__(self, templates: TemplateStore, starter: TransferStarter, gatherer: Gatherer) -> None:
        self._templates = templates
        self._starter = starter
        self._gatherer = gatherer

    def handle(self, objects: Sequence[ObjectCreated]) -> list[FailedObjects]:
        """Start or gather for the templates that match; return what failed and should be retried.

        Handling an object again is harmless.
        """
        failures: list[FailedObjects] = []
        for object_batch, waits in self._batches(objects):
            template_id = object_batch.template.template_id
            try:
                if waits:
                    self._gatherer.gather(object_batch.template, object_batch.objects)
                else:
                    self._starter.start(template_id, object_batch.objects)
            except Exception as error:
                logger.exception("objects not handled", extra={"template_id": template_id})
                failures.append(FailedObjects(object_batch.objects, error))
        return failures

    def _batches(self, objects: Sequence[ObjectCreated]) -> Iterable[tuple[ObjectBatch, bool]]:
        """Yield batches, and whether each waits for more: one that fills a transfer does not."""
        wanted = [one for one in objects if not (one.is_folder_marker or one.is_ours)]
        for bucket in dict.fromkeys(one.bucket for one in wanted):
            for template in self._templates.of_bucket(bucket):
                matching = [one for one in wanted if template.matches(one.bucket, one.key)]
                batches = list(batch(template, matching))
                for number, object_batch in enumerate(batches, 1):
                    yield object_batch, number == len(batches) and template.trigger.gather_seconds > 0
