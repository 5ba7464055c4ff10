"""Who calls, and what they may do. The token itself was checked by API Gateway's Cognito authoriser."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from lambdas.domain.errors import ForbiddenError, NotSignedInError


class Role(IntEnum):
    """A Cognito group. Each may do what the ones before it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


_GROUPS = {role.name.lower(): role for role in Role}


@dataclass(frozen=True)
class Caller:
    """A signed-in person."""

    name: str
    role: Role | None

    def must_be(self, needed: Role) -> None:
        """Raise ForbiddenError unless this person may do what the needed role may."""
        if self.role is None or self.role < needed:
            group = needed.name.lower()
            raise ForbiddenError(
                f"{self.name} may not do this: it takes the group {group}.",
                "Ask an administrator to add you to it.",
            )


def caller(context: Mapping[str, Any]) -> Caller:
    """The person of API Gateway's request context; raises NotSignedInError if there is none."""
    claims = (context.get("authorizer") or {}).get("claims") or {}
    name = claims.get("email") or claims.get("cognito:username")
    if not name:
        raise NotSignedInError
    return Caller(name, _role(claims.get("cognito:groups")))


def _role(groups: Any) -> Role | None:
    """The highest. API Gateway hands a token's list over as text: `admin,operator`."""
    names = groups if isinstance(groups, list) else re.split(r"[\s,\[\]]+", str(groups or ""))
    return max((_GROUPS[name] for name in names if name in _GROUPS), default=None)
