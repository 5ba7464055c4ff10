"""Warn of what a template names that does not exist now: it is allowed, and may be a mistake."""

from collections.abc import Collection, Iterator, Mapping

from events.base import AgentId, Problem
from events.locations import Location, S3Location, agent_of
from lambdas.domain import problems
from lambdas.domain.agent import Agent
from lambdas.domain.errors import RefusedError
from lambdas.domain.roots import check_offered
from lambdas.domain.template import Template


def warnings(
    template: Template,
    agents: Mapping[AgentId, Agent],
    buckets: Collection[str],
    distant: Collection[str] = (),
) -> Iterator[Problem]:
    """Yield a problem for each unknown agent, root, remote and bucket, and each read-only one.

    `agents` has those of the template's agents that exist, `buckets` all that transfers may use, `distant`
    those of them in another region or account.
    """
    for name in template.agents:
        if name not in agents:
            yield problems.AGENT_UNKNOWN.problem(agent_id=name)
    named = [template.source, *template.destinations]
    for bucket in dict.fromkeys(place.bucket for place in named if isinstance(place, S3Location)):
        if bucket not in buckets:
            known = ", ".join(sorted(buckets)) or "none"
            yield problems.BUCKET_UNKNOWN.problem(bucket=bucket, known=known)
    if template.source.bucket in distant:
        yield problems.BUCKET_DISTANT.problem(bucket=template.source.bucket)
    for place in template.destinations:
        agent = agents.get(agent_of(place) or "")
        if agent and agent.heard_at:  # before its first report, an agent's roots are not known
            yield from _refusal(agent, place)


def _refusal(agent: Agent, place: Location) -> Iterator[Problem]:
    try:
        check_offered(agent, place, writing=True)
    except RefusedError as error:
        yield error.problem
