"""Templates in DynamoDB. Lists use the index `every`; `by_bucket` finds those that a bucket may start."""

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from events.locations import Location
from events.options import Options, OrderedOptions
from events.requests import ObjectTrigger, TemplateId
from lambdas.domain.errors import StaleError, TemplateExistsError, TemplateUnknownError
from lambdas.domain.template import Template
from lambdas.store.base import ActorAttribute, JsonOf, Writes, bind, no_writes, refusal_is, transaction

EVERY = "template"


class ByName(GlobalSecondaryIndex["TemplateRow"]):
    class Meta:
        index_name = "every"
        projection = AllProjection()

    kind = UnicodeAttribute(hash_key=True)
    template_id = UnicodeAttribute(range_key=True)


class ByBucket(GlobalSecondaryIndex["TemplateRow"]):
    class Meta:
        index_name = "by_bucket"
        projection = AllProjection()

    bucket = UnicodeAttribute(hash_key=True)
    template_id = UnicodeAttribute(range_key=True)


class TemplateRow(Model):
    """A template; the attributes have the names of the domain's fields."""

    class Meta:
        table_name = ""

    template_id = UnicodeAttribute(hash_key=True)
    kind = UnicodeAttribute(default=EVERY)
    bucket = UnicodeAttribute()
    description = UnicodeAttribute()
    trigger: JsonOf[ObjectTrigger] = JsonOf(ObjectTrigger)
    destinations: JsonOf[tuple[Location, ...]] = JsonOf(tuple[Location, ...])
    shape = UnicodeAttribute()
    options: JsonOf[Options] = JsonOf(OrderedOptions)
    enabled = BooleanAttribute()
    owner = ActorAttribute()
    changed_by = ActorAttribute(null=True)
    created_at = UTCDateTimeAttribute()
    updated_at = UTCDateTimeAttribute()
    version = NumberAttribute()

    every = ByName()
    by_bucket = ByBucket()


_FIELDS = tuple(name for name in TemplateRow.get_attributes() if name not in {"kind", "bucket"})


class TemplateStore:
    """The only reader and writer of templates."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind((TemplateRow,), table, region)

    def get(self, template_id: TemplateId) -> Template:
        """Return a template; raise TemplateUnknownError if it does not exist."""
        try:
            return _template(TemplateRow.get(template_id, consistent_read=True))
        except TemplateRow.DoesNotExist:
            raise TemplateUnknownError(template_id) from None

    def list_templates(
        self, limit: int, after: TemplateId | None
    ) -> tuple[list[Template], TemplateId | None]:
        """Return the templates after `after`, by name, and the last name if there may be more."""
        beyond = TemplateRow.template_id > after if after else None
        found = [_template(row) for row in TemplateRow.every.query(EVERY, beyond, limit=limit)]
        return found, found[-1].template_id if len(found) == limit else None

    def all_templates(self) -> list[Template]:
        return [_template(row) for row in TemplateRow.every.query(EVERY)]

    def of_bucket(self, bucket: str) -> list[Template]:
        """Return the templates that objects in this bucket may start; the index may lag."""
        return [_template(row) for row in TemplateRow.by_bucket.query(bucket)]

    def create_template(self, template: Template, also: Writes = no_writes) -> None:
        """Write a new template; raise TemplateExistsError if the name is taken."""
        with refusal_is(TemplateExistsError(template.template_id)), transaction(self._region) as writes:
            writes.save(_row(template), condition=TemplateRow.template_id.does_not_exist())
            also(writes)

    def replace_template(self, old: Template, new: Template, also: Writes = no_writes) -> None:
        """Replace a template; raise StaleError if the stored version is not the old one."""
        with refusal_is(StaleError(f"Template {old.template_id}")), transaction(self._region) as writes:
            writes.save(_row(new), condition=TemplateRow.version == old.version)
            also(writes)

    def delete_template(self, old: Template, also: Writes = no_writes) -> None:
        """Delete a template; raise StaleError if the stored version is not this one."""
        with refusal_is(StaleError(f"Template {old.template_id}")), transaction(self._region) as writes:
            row = TemplateRow(old.template_id)
            writes.delete(row, condition=TemplateRow.version == old.version)
            also(writes)


def _row(template: Template) -> TemplateRow:
    return TemplateRow(bucket=template.trigger.bucket, **{name: getattr(template, name) for name in _FIELDS})


def _template(row: TemplateRow) -> Template:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Template(**values | {"changed_by": row.changed_by or row.owner})
