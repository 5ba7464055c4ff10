"""Templates: standing orders for objects that arrive in S3."""

from events.requests import TemplateId, TemplateRequest
from events.views import TemplatesView, TemplateView
from lambdas import wiring
from lambdas.api.auth import Role
from lambdas.api.calls import Call
from lambdas.api.queries import PageQuery, TemplateQuery
from lambdas.api.routing import Resource

templates = Resource("templates")


@templates.get("/templates", role=Role.VIEWER)
def list_templates(query: PageQuery) -> TemplatesView:
    """The templates, by name."""
    return wiring.templates().page(query.limit, query.after)


@templates.post("/templates", role=Role.OPERATOR, status=201, keyed=True)
def create_template(call: Call, body: TemplateRequest) -> TemplateView:
    """Give a standing order under a new name."""
    call.once("create template", body, lambda: wiring.templates().create(body, call.by))
    return wiring.templates().view(body.name)


@templates.get("/templates/{template_id}", role=Role.VIEWER)
def show_template(template_id: TemplateId) -> TemplateView:
    """One template."""
    return wiring.templates().view(template_id)


@templates.put("/templates/{template_id}", role=Role.OPERATOR)
def replace_template(
    call: Call, template_id: TemplateId, query: TemplateQuery, body: TemplateRequest
) -> TemplateView:
    """Replace a template, or create it. Transfers that it has started go on as they are."""
    return wiring.templates().replace(template_id, body, call.by, query.version)


@templates.delete("/templates/{template_id}", role=Role.OPERATOR, status=204)
def remove_template(template_id: TemplateId) -> None:
    """Remove a template. Transfers that it has started go on."""
    wiring.templates().remove(template_id)
