"""People who are not here to show a token: the owner of a template that acts. Cognito knows who has left
since, or lost a group.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lambdas.domain.deciding import Person

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

FRESH = 60.0
"""Seconds for which an answer counts."""
_PAGE = 60
"""Groups: more than Cognito's limit for one person would be another page."""


class People:
    def __init__(
        self,
        cognito: "CognitoIdentityProviderClient",
        pool_id: str,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cognito = cognito
        self._pool_id = pool_id
        self._timer = timer
        self._known: dict[str, tuple[float, Person]] = {}

    def find(self, name: str) -> Person:
        """With the groups of now; with none if the person is gone or was disabled."""
        at, person = self._known.get(name, (0.0, None))
        if person is None or self._timer() - at > FRESH:
            person = Person(name, self._groups(name))
            self._known[name] = self._timer(), person
        return person

    def _groups(self, name: str) -> tuple[str, ...]:
        try:
            if not self._cognito.admin_get_user(UserPoolId=self._pool_id, Username=name)["Enabled"]:
                return ()
            answer = self._cognito.admin_list_groups_for_user(
                UserPoolId=self._pool_id, Username=name, Limit=_PAGE
            )
        except self._cognito.exceptions.UserNotFoundException:
            return ()
        return tuple(group["GroupName"] for group in answer["Groups"])
