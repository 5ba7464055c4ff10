"""When an agent's keys are replaced, and how far that is.

Wanted, by a person or by age; then renewed: a new certificate and a new API key are good beside the old ones;
then proven: the agent has connected with the new certificate, and the old one goes.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from lambdas.domain.agent import Agent

RETRY_INTERVAL = timedelta(hours=1)
"""When an agent that was told to rotate and has not done so is told again."""


def wanted(agent: Agent, now: datetime) -> Agent:
    """The agent after somebody, or the clock, wants new keys for it."""
    return replace(agent, rotation_wanted_at=agent.rotation_wanted_at or now, rotate_at=now + RETRY_INTERVAL)


def renewed(agent: Agent, certificate: str, now: datetime) -> Agent:
    """The agent after a new certificate was made for it, which it has not used yet."""
    return replace(wanted(agent, now), next_certificate=certificate)


def is_news(agent: Agent, certificate: str) -> bool:
    """Does the agent use another certificate than was known?"""
    return certificate != agent.certificate


def proven(agent: Agent, certificate: str, now: datetime, age: timedelta) -> Agent:
    """The agent after it has connected with another certificate than was known; the first is as old as its
    registration."""
    since = now if agent.certificate else agent.registered_at
    if agent.next_certificate not in {None, certificate}:
        return replace(agent, certificate=certificate, certified_at=since)
    unasked = agent.certificate is None and agent.next_certificate is None
    return replace(
        agent,
        certificate=certificate,
        certified_at=since,
        next_certificate=None,
        rotation_wanted_at=agent.rotation_wanted_at if unasked else None,
        rotate_at=agent.rotate_at if unasked and agent.rotation_wanted_at else since + age,
    )


def certificates(agent: Agent) -> set[str]:
    """Those that may still be used."""
    return {one for one in (agent.certificate, agent.next_certificate) if one}
