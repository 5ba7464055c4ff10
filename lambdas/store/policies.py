"""Policies in DynamoDB, all in one partition: those that are kept now, their versions of before, and the
head, whose number grows with each change. One read of the head says whether anything has changed; one query
brings all of them, and never those of a moment ago, as an index might.
"""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.models import Model

from lambdas.domain.errors import StaleError
from lambdas.domain.policy import Policy
from lambdas.store.base import ActorAttribute, Writes, bind, refusal_is, transaction

BOOK = "policies"
HEAD = "head"
NOW = "policy#"
BEFORE = "past#"


class PolicyRow(Model):
    """A policy has the attributes of the domain's; the head has only `version`."""

    class Meta:
        table_name = ""

    book = UnicodeAttribute(hash_key=True, default=BOOK)
    part = UnicodeAttribute(range_key=True)
    policy_id = UnicodeAttribute(null=True)
    text = UnicodeAttribute(null=True)
    version = NumberAttribute()
    by = ActorAttribute(null=True)
    at = UTCDateTimeAttribute(null=True)
    why = UnicodeAttribute(null=True)


class PolicyStore:
    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind((PolicyRow,), table, region)

    def version(self) -> int:
        """Of all policies together; 0 if none was ever kept."""
        try:
            return int(PolicyRow.get(BOOK, HEAD, consistent_read=True).version)
        except PolicyRow.DoesNotExist:
            return 0

    def all(self) -> tuple[int, list[Policy]]:
        """Every policy that is kept, and the version of all, which is never newer than they are."""
        version = self.version()
        found = PolicyRow.query(BOOK, PolicyRow.part.startswith(NOW), consistent_read=True)
        return version, [_policy(row) for row in found]

    def past(self, policy_id: str, limit: int) -> list[Policy]:
        """Its versions, the newest first."""
        begin = PolicyRow.part.startswith(f"{BEFORE}{policy_id}#")
        found = PolicyRow.query(BOOK, begin, scan_index_forward=False, limit=limit, consistent_read=True)
        return [_policy(row) for row in found]

    def write(self, over: int, policy: Policy, keep: bool, also: Writes) -> None:
        """Make this the policy's newest version, over that version of all; without `keep`, the policy goes
        and only its versions stay. Raises StaleError if anything has changed meanwhile.
        """
        head, unchanged = PolicyRow(BOOK, HEAD), PolicyRow.version == over
        guard = unchanged if over else ~PolicyRow.part.exists()
        past = f"{BEFORE}{policy.policy_id}#{policy.version:06d}"
        with refusal_is(StaleError("The policies")), transaction(self._region) as writes:
            writes.update(head, [PolicyRow.version.set(over + 1)], condition=guard)
            if keep:
                writes.save(_row(f"{NOW}{policy.policy_id}", policy))
            else:
                writes.delete(PolicyRow(BOOK, f"{NOW}{policy.policy_id}"))
            writes.save(_row(past, policy), condition=PolicyRow.part.does_not_exist())
            also(writes)


_FIELDS = ("policy_id", "text", "version", "by", "at", "why")


def _row(part: str, policy: Policy) -> PolicyRow:
    return PolicyRow(BOOK, part, **{name: getattr(policy, name) for name in _FIELDS})


def _policy(row: PolicyRow) -> Policy:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Policy(**values | {"version": int(row.version), "why": row.why or ""})
