"""People who are not here to show a token: the owner of a template that acts. Cognito knows who has left
since, or lost a group.

A person is known by the pool's `sub`. An e-mail address is only ever looked up for somebody who writes one:
whoever has it later is another person.
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
"""Seconds for which an answer counts."""
_MAX_GROUPS = 60
"""Groups: more than Cognito's limit for one person would be another page."""
_EMAIL = re.compile(r"(?=.{3,128}$)[^\s@]+@[^\s@]+")
"""What Cognito takes for a user's name at all."""


class CognitoDirectory:
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

    def find(self, actor: Actor) -> Principal:
        """With the groups of now; `gone` if there is nobody of this id any more, or they were disabled."""
        at, person = self._cache.get(actor.id, (0.0, None))
        if person is None or self._timer() - at > CACHE_TTL_S:
            person = self._load(actor)
            self._cache[actor.id] = self._timer(), person
        return person

    def named(self, text: str) -> Principal:
        """The one of this id, or who has this e-mail address now; raises PersonUnknownError if nobody has."""
        return self.find(Actor(id=self.id_of(text), name=text))

    def id_of(self, text: str) -> str:
        """An id as it is, and that of an e-mail address; raises PersonUnknownError if nobody has it now."""
        if "@" not in text:
            return text
        user = self._user(text) if _EMAIL.fullmatch(text) else None
        if user is None:
            raise PersonUnknownError(text)
        return _attributes(user)["sub"]

    def _load(self, actor: Actor) -> Principal:
        # Cognito takes an address here, too: who is known by one alone, from before, is nobody now.
        user = self._user(actor.id) if is_person_id(actor.id) else None
        if user is None or _attributes(user)["sub"] != actor.id:
            return Principal(actor.id, name=actor.name, gone=True)
        name = shown_name(_attributes(user))
        return Principal(actor.id, self._groups(user), name=name, gone=not user["Enabled"])

    def _user(self, name: str) -> "AdminGetUserResponseTypeDef | None":
        """The one whom Cognito knows by this name: a `sub`, or an address."""
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
    """What a person is shown as: the e-mail address, if it is known to be theirs; else the id."""
    verified = str(attributes.get("email_verified", "")).lower() == "true"
    return str((verified and attributes.get("email")) or attributes["sub"])
