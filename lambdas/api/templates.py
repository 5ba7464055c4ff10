"""Routes of templates, which start a transfer when objects arrive in S3."""

from events.requests import TemplateId, TemplateRequest
from events.views import TemplatesView, TemplateView
from lambdas import wiring
from lambdas.api.calls import Call
from lambdas.api.queries import PageQuery, TemplateQuery
from lambdas.api.routing import RouteGroup
from lambdas.audit.recorder import AuditEvent, Record
from lambdas.domain.authorization import MANAGE_TEMPLATE, READ, template_resource

templates = RouteGroup("templates")


@templates.get("/templates", action=READ)
def list_templates(query: PageQuery) -> TemplatesView:
    """List templates, sorted by name."""
    return wiring.template_service().list_templates(query.limit, query.after)


@templates.post("/templates", action=MANAGE_TEMPLATE, status=201, idempotent=True)
def create_template(call: Call, body: TemplateRequest) -> TemplateView:
    """Create a template under a new name."""
    record = _allowed(call, "created", body.name)
    call.once(
        "create template", body, lambda: wiring.template_service().create_template(body, call.actor, record)
    )
    return wiring.template_service().view(body.name)


@templates.get("/templates/{template_id}", action=READ)
def show_template(template_id: TemplateId) -> TemplateView:
    """Show one template."""
    return wiring.template_service().view(template_id)


@templates.put("/templates/{template_id}", action=MANAGE_TEMPLATE)
def replace_template(
    call: Call, template_id: TemplateId, query: TemplateQuery, body: TemplateRequest
) -> TemplateView:
    """Replace a template, or create it.

    Transfers that it has started continue unchanged.
    """
    record = _allowed(call, "replaced", template_id)
    return wiring.template_service().replace_template(template_id, body, call.actor, query.version, record)


@templates.delete("/templates/{template_id}", action=MANAGE_TEMPLATE, status=204)
def remove_template(call: Call, template_id: TemplateId) -> None:
    """Remove a template.

    Transfers that it has started continue.
    """
    wiring.template_service().remove_template(template_id, _allowed(call, "removed", template_id))


def _allowed(call: Call, verb: str, template_id: TemplateId) -> Record:
    event = AuditEvent(action=f"template.{verb}", about=f"template {template_id}")
    return wiring.authorizer().authorize(call.caller, MANAGE_TEMPLATE, template_resource(template_id), event)
