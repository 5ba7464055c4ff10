"""Who calls. API Gateway's Cognito authoriser has checked the token; policies say what they may do."""

import re
from collections.abc import Mapping
from typing import Any

from lambdas.domain.deciding import Person
from lambdas.domain.errors import NotSignedInError


def caller(context: Mapping[str, Any]) -> Person:
    """The person of API Gateway's request context; raises NotSignedInError if there is none."""
    claims = (context.get("authorizer") or {}).get("claims") or {}
    name = claims.get("email") or claims.get("cognito:username")
    if not name:
        raise NotSignedInError
    address = (context.get("identity") or {}).get("sourceIp")
    return Person(name, _groups(claims.get("cognito:groups")), address)


def _groups(names: Any) -> tuple[str, ...]:
    """API Gateway hands a token's list over as text: `admin,operator`."""
    given = names if isinstance(names, list) else re.split(r"[\s,\[\]]+", str(names or ""))
    return tuple(dict.fromkeys(name for name in given if name))
