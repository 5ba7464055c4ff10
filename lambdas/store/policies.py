"""Policies in DynamoDB, all in one partition: current policies, earlier versions, and the head.

The head's number grows with each change, so one read shows whether anything has changed. One consistent query
returns all policies, which an index could not.
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
    """A policy, with the attributes of the domain's; the head has only `version`."""

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
    """The only reader and writer of policies."""

    def __init__(self, table: str, region: str) -> None:
        self._region = region
        bind((PolicyRow,), table, region)

    def version(self) -> int:
        """Return the version of all policies together; 0 if none was ever written."""
        try:
            return int(PolicyRow.get(BOOK, HEAD, consistent_read=True).version)
        except PolicyRow.DoesNotExist:
            return 0

    def list_policies(self) -> tuple[int, list[Policy]]:
        """Return the version of all policies and every stored policy; the version is never the newer one."""
        version = self.version()
        found = PolicyRow.query(BOOK, PolicyRow.part.startswith(NOW), consistent_read=True)
        return version, [_policy(row) for row in found]

    def past(self, policy_id: str, limit: int) -> list[Policy]:
        """Return the policy's versions, newest first."""
        begin = PolicyRow.part.startswith(f"{BEFORE}{policy_id}#")
        found = PolicyRow.query(BOOK, begin, scan_index_forward=False, limit=limit, consistent_read=True)
        return [_policy(row) for row in found]

    def write_policy(self, over: int, policy: Policy, keep: bool, also: Writes) -> None:
        """Write the policy's newest version, on condition that the version of all policies is `over`.

        Without `keep`, the policy is removed and only its versions remain.

        Raises:
            StaleError: any policy has changed since `over` was read.
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
