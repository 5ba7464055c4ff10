"""The caller of a request. API Gateway's Cognito authorizer has already verified the token."""

import re
from collections.abc import Mapping
from typing import Any

from lambdas.aws.user_directory import shown_name
from lambdas.domain.authorization import Principal, is_person_id
from lambdas.domain.errors import NotSignedInError


def caller(context: Mapping[str, Any], pool_id: str) -> Principal:
    """Return the signed-in user of API Gateway's request context, identified by the `sub` of this pool.

    Raises:
        NotSignedInError: There are no claims, the token is not an id token, or it is from another pool,
            in which the same `sub` may be another user.
    """
    claims = (context.get("authorizer") or {}).get("claims") or {}
    issuer = str(claims.get("iss", "")).rpartition("/")[2]
    sub = str(claims.get("sub"))
    if claims.get("token_use") != "id" or issuer != pool_id or not is_person_id(sub):
        raise NotSignedInError
    address = (context.get("identity") or {}).get("sourceIp")
    return Principal(sub, _groups(claims.get("cognito:groups")), address, shown_name(claims))


def _groups(names: Any) -> tuple[str, ...]:
    """Return the groups of a claim, which API Gateway passes as text: `admin,operator`."""
    given = names if isinstance(names, list) else re.split(r"[\s,\[\]]+", str(names or ""))
    return tuple(dict.fromkeys(name for name in given if name))
