"""Rotation of an agent's keys: certificate and API key.

1. wanted: a person requested it, or the keys are too old.
2. renewed: a new certificate and a new API key are valid beside the old ones.
3. proven: the agent has connected with the new certificate, and the old ones are revoked.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from lambdas.domain.agent import Agent

RETRY_INTERVAL = timedelta(hours=1)
"""Interval at which an agent that has not rotated its keys is told again."""


def wanted(agent: Agent, now: datetime) -> Agent:
    """Return the agent after a rotation was requested, by a person or because of the keys' age."""
    return replace(agent, rotation_wanted_at=agent.rotation_wanted_at or now, rotate_at=now + RETRY_INTERVAL)


def renewed(agent: Agent, certificate: str, now: datetime) -> Agent:
    """Return the agent after a new certificate was issued, which it has not used yet."""
    return replace(wanted(agent, now), next_certificate=certificate)


def is_overdue(agent: Agent, now: datetime, after: timedelta) -> bool:
    """Return whether an agent that is online was told so long ago to renew its keys, and has not."""
    wanted_at = agent.rotation_wanted_at
    return agent.presence == "online" and wanted_at is not None and now - wanted_at >= after


def is_news(agent: Agent, certificate: str) -> bool:
    """Return whether the agent uses a different certificate than the one on record."""
    return certificate != agent.certificate


def proven(agent: Agent, certificate: str, now: datetime, age: timedelta) -> Agent:
    """Return the agent after it has connected with a different certificate than the one on record.

    The first certificate is as old as the registration; `age` is how old keys may become.
    """
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
    """Return the fingerprints of the certificates that are still valid."""
    return {certificate for certificate in (agent.certificate, agent.next_certificate) if certificate}
