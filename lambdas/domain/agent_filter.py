"""Which agents a list shows."""

from dataclasses import dataclass

from events.base import AgentId
from events.states import AgentStatus
from events.views import AgentSummary
from lambdas.domain.agent_summary import GROUPS, AgentGroup, needs_attention


@dataclass(frozen=True, kw_only=True)
class AgentFilter:
    """Criteria for agents; all that are given must hold."""

    limit: int
    after: AgentId | None = None
    """Only agents whose names come later."""
    beginning: str = ""
    """Only agents whose names begin so."""
    status: AgentStatus | None = None
    attention: bool = False
    """Only agents that a person should look at."""
    tag: tuple[str, str] | None = None
    """Key and value of a tag."""
    version: str | None = None
    other_than: str | None = None
    """Only agents of another version than this."""

    @property
    def groups(self) -> tuple[AgentGroup, ...]:
        """Return the groups that have such agents, in no order."""
        groups = GROUPS[self.status] if self.status else tuple(AgentGroup)
        return tuple(one for one in groups if one != AgentGroup.WELL) if self.attention else groups

    @property
    def is_checked(self) -> bool:
        """Return whether the groups and names alone do not tell which agents meet the criteria."""
        return self.attention or any(one is not None for one in (self.tag, self.version, self.other_than))

    def has(self, summary: AgentSummary) -> bool:
        """Return whether an agent of the groups meets the other criteria."""
        return (
            (not self.attention or needs_attention(summary))
            and (self.tag is None or summary.tags.get(self.tag[0]) == self.tag[1])
            and (self.version is None or summary.version == self.version)
            and (self.other_than is None or summary.version != self.other_than)
        )
