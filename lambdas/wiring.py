"""The composition root: builds each thing once, when it is first asked for. Importing does nothing."""

from functools import cache

from lambdas.settings import Settings


@cache
def settings() -> Settings:
    return Settings.from_env()
