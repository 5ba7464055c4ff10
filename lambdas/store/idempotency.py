"""The table of Powertools' idempotency; defined only so that infra can read its key and its TTL."""

from pynamodb.attributes import TTLAttribute, UnicodeAttribute
from pynamodb.models import Model


class OnceRow(Model):
    class Meta:
        table_name = ""

    id = UnicodeAttribute(hash_key=True)
    expiration = TTLAttribute()
