"""Create, read, replace and remove templates."""

from collections.abc import Collection, Mapping, Sequence

from pydantic import TypeAdapter, ValidationError

from events.base import Actor, AgentId
from events.requests import TemplateId, TemplateRequest
from events.views import TemplatesView, TemplateView
from lambdas.audit.recorder import Record, unrecorded
from lambdas.domain.agent import Agent
from lambdas.domain.errors import CursorError, MisnamedError, StaleError, TemplateUnknownError
from lambdas.domain.plan import MAX_SELECTED_BYTES, new_transfer_id, plan
from lambdas.domain.template import Template, check_loops, written
from lambdas.domain.template_warnings import warnings
from lambdas.ports import AgentReader, Clock
from lambdas.store.templates import TemplateStore
from lambdas.telemetry import logger

_MAX_SELECTION = ("x" * (MAX_SELECTED_BYTES - len('""')),)
"""The largest selection that one transfer of a template can have."""


class TemplateService:
    def __init__(
        self,
        store: TemplateStore,
        agents: AgentReader,
        buckets: Collection[str],
        clock: Clock,
        *,
        distant: Collection[str] = (),
    ) -> None:
        self._store = store
        self._agents = agents
        self._buckets = buckets
        """Buckets that transfers may read and write."""
        self._distant = distant
        """Those of them in another region or account, whose events do not come by themselves."""
        self._clock = clock

    def view(self, template_id: TemplateId) -> TemplateView:
        """Return one template; raise TemplateUnknownError if it does not exist."""
        return self._views([self._store.get(template_id)])[0]

    def list_templates(self, limit: int, after: str | None) -> TemplatesView:
        """Return one page of templates, by name; raise CursorError for an invalid cursor."""
        templates, following = self._store.list_templates(limit, _name(after))
        views = self._views(templates)
        return TemplatesView(templates=tuple(views), next=following)

    def create_template(self, request: TemplateRequest, by: Actor, record: Record = unrecorded) -> None:
        """Create a template.

        Raises:
            TemplateExistsError: a template of this name exists.
            RefusedError: its transfers could never be carried out.
        """
        template = written(request, by, self._clock())
        self._check(template)
        self._store.create_template(template, record(None, template))
        self._log("template created", template, by)

    def replace_template(
        self, template_id: TemplateId, request: TemplateRequest, by: Actor, version: int | None,
        record: Record = unrecorded,
    ) -> TemplateView:  # fmt: skip
        """Replace a template, or create it if it does not exist; with `version`, only replace that version.

        Raises:
            RefusedError: its transfers could never be carried out, or the names differ.
            StaleError: the stored version is not `version`.
        """
        if request.name != template_id:
            raise MisnamedError(request.name, template_id)
        old = self._known(template_id)
        if version is not None and (old is None or old.version != version):
            raise StaleError(f"Template {template_id}")
        template = written(request, by, self._clock(), old)
        self._check(template)
        if old:
            self._store.replace_template(old, template, record(old, template))
        else:
            self._store.create_template(template, record(None, template))
        self._log("template replaced" if old else "template created", template, by)
        return self._views([template])[0]

    def remove_template(self, template_id: TemplateId, record: Record = unrecorded) -> None:
        """Remove a template; raise TemplateUnknownError if it does not exist."""
        old = self._store.get(template_id)
        self._store.delete_template(old, record(old, None))

    def _known(self, template_id: TemplateId) -> Template | None:
        try:
            return self._store.get(template_id)
        except TemplateUnknownError:
            return None

    def _check(self, template: Template) -> None:
        """Refuse a template that loops or could never be carried out; a loop is reported first."""
        check_loops(template, self._store.all_templates())
        plan(new_transfer_id(), template.spec(_MAX_SELECTION), template.owner, self._clock())

    def _views(self, templates: Sequence[Template]) -> list[TemplateView]:
        """Return the templates as the API shows them; the agents of all are read at once."""
        agents = self._agents.get_many(agent_id for template in templates for agent_id in template.agents)
        return [self._view(template, agents) for template in templates]

    def _view(self, template: Template, agents: Mapping[AgentId, Agent]) -> TemplateView:
        return TemplateView(
            template_id=template.template_id,
            description=template.description,
            trigger=template.trigger,
            destinations=template.destinations,
            shape=template.shape,
            options=template.options,
            enabled=template.enabled,
            owner=template.owner,
            created_at=template.created_at,
            updated_at=template.updated_at,
            version=template.version,
            warnings=tuple(warnings(template, agents, self._buckets, self._distant)),
        )

    def _log(self, what: str, template: Template, by: Actor) -> None:
        logger.info(
            what, extra={"template_id": template.template_id, "version": template.version, "by": by.id}
        )


def _name(after: str | None) -> TemplateId | None:
    try:
        return None if after is None else TypeAdapter(TemplateId).validate_python(after)
    except ValidationError:
        raise CursorError from None
