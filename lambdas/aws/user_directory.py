"""Look up users in Cognito who are not signed in, such as the owner of a template.

A user is identified by the pool's `sub`. An e-mail address is resolved only where a person enters one, since
it may later belong to another user.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from events.base import Actor
from lambdas.domain.authorization import Principal, is_person_id
from lambdas.domain.errors import PersonUnknownError

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_cognito_idp.type_defs import AdminGetUserResponseTypeDef

CACHE_TTL_S = 60.0
"""How long an answer of Cognito is reused."""
_MAX_GROUPS = 60
"""Groups read for one user: the page limit of Cognito."""
_EMAIL = re.compile(r"(?=.{3,128}$)[^\s@]+@[^\s@]+")
"""What Cognito accepts as a user name."""


class CognitoDirectory:
    """Users of a Cognito user pool, cached for `CACHE_TTL_S`."""

    def __init__(
        self,
        cognito: "CognitoIdentityProviderClient",
        pool_id: str,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cognito = cognito
        self._pool_id = pool_id
        self._timer = timer
        self._cache: dict[str, tuple[float, Principal]] = {}

    def find_user(self, actor: Actor) -> Principal:
        """Return the user with their current groups; `gone` if the account was deleted or disabled."""
        at, person = self._cache.get(actor.id, (0.0, None))
        if person is None or self._timer() - at > CACHE_TTL_S:
            person = self._load(actor)
            self._cache[actor.id] = self._timer(), person
        return person

    def named(self, text: str) -> Principal:
        """Return the user of this id or current e-mail address; raises PersonUnknownError."""
        return self.find_user(Actor(id=self.id_of(text), name=text))

    def id_of(self, text: str) -> str:
        """Return the id of a current e-mail address, and an id unchanged; raises PersonUnknownError."""
        if "@" not in text:
            return text
        user = self._user(text) if _EMAIL.fullmatch(text) else None
        if user is None:
            raise PersonUnknownError(text)
        return _attributes(user)["sub"]

    def _load(self, actor: Actor) -> Principal:
        # Cognito also finds a user by e-mail address; an old record that has only an address matches none.
        user = self._user(actor.id) if is_person_id(actor.id) else None
        if user is None or _attributes(user)["sub"] != actor.id:
            return Principal(actor.id, name=actor.name, gone=True)
        name = shown_name(_attributes(user))
        return Principal(actor.id, self._groups(user), name=name, gone=not user["Enabled"])

    def _user(self, name: str) -> "AdminGetUserResponseTypeDef | None":
        """Return the Cognito user of this name, a `sub` or an e-mail address; None if there is none."""
        try:
            return self._cognito.admin_get_user(UserPoolId=self._pool_id, Username=name)
        except self._cognito.exceptions.UserNotFoundException:
            return None

    def _groups(self, user: "AdminGetUserResponseTypeDef") -> tuple[str, ...]:
        try:
            answer = self._cognito.admin_list_groups_for_user(
                UserPoolId=self._pool_id, Username=user["Username"], Limit=_MAX_GROUPS
            )
        except self._cognito.exceptions.UserNotFoundException:
            return ()
        return tuple(group["GroupName"] for group in answer["Groups"])


def _attributes(user: "AdminGetUserResponseTypeDef") -> dict[str, str]:
    return {attribute["Name"]: attribute.get("Value", "") for attribute in user["UserAttributes"]}


def shown_name(attributes: Mapping[str, Any]) -> str:
    """Return the name to show for a user: the e-mail address if it is verified, otherwise the id."""
    verified = str(attributes.get("email_verified", "")).lower() == "true"
    return str((verified and attributes.get("email")) or attributes["sub"])
