import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import type { TableProps } from "@cloudscape-design/components/table";
import { TagBadges } from "../../components/TagBadges";
import { Name, State, When } from "../../components/text";
import { warningText } from "../../format/agents";
import { t } from "../../i18n";
import { href, hrefWith } from "../../router";
import type { AgentSummary } from "../../types";

type Column = TableProps.ColumnDefinition<AgentSummary>;
type OnRemove = ((agent: AgentSummary) => void) | null;

const name = (): Column => ({
  id: "name",
  header: t().common.name,
  isRowHeader: true,
  minWidth: 130,
  cell: (agent) => (
    <>
      <Link href={href("agents", agent.agent_id)}>
        <strong>{agent.agent_id}</strong>
      </Link>
      <Box color="text-body-secondary" fontSize="body-s">
        <Name>{[agent.hostname, agent.ip_address].filter(Boolean).join(" · ")}</Name>
      </Box>
    </>
  ),
});

const status = (): Column => ({
  id: "status",
  header: t().agents.since,
  minWidth: 125,
  cell: ({ status: now, last_heartbeat, connected_at, drain }) => {
    const since = now === "online" ? connected_at : last_heartbeat;
    return (
      <>
        <State of={now} />
        <Box color="text-body-secondary" fontSize="body-s">
          {since ? <When at={since} relative /> : t().agents.never}
        </Box>
        {drain && (
          <Badge color="grey">{drain.maintenance ? t().agents.maintained : t().agents.drained}</Badge>
        )}
      </>
    );
  },
});

const roots = (): Column => ({
  id: "roots",
  header: t().agents.roots,
  minWidth: 160,
  cell: (agent) => (
    <>
      {t().agents.rootsOf(agent.roots)}
      {agent.free_percent !== null && (
        <Box color="text-body-secondary" fontSize="body-s">
          {t().agents.leastFree(`${agent.free_percent} %`)}
        </Box>
      )}
      {agent.warnings.map((warning) => (
        <div key={`${warning.kind} ${warning.path}`}>
          <StatusIndicator type="warning">
            <Name>{warningText(warning)}</Name>
          </StatusIndicator>
        </div>
      ))}
    </>
  ),
});

const running = (): Column => ({
  id: "running",
  header: t().agents.running,
  minWidth: 105,
  cell: ({ agent_id, running: hops }) =>
    hops > 0 ? <Link href={hrefWith("transfers", { agent: agent_id })}>{hops}</Link> : "0",
});

const tags = (): Column => ({
  id: "tags",
  header: t().common.tags,
  minWidth: 120,
  cell: (agent) => <TagBadges tags={agent.tags} />,
});

const version = (): Column => ({
  id: "version",
  header: t().agents.version,
  cell: (agent) => agent.version,
});

/** When the agent's certificate was issued. */
const keys = (): Column => ({
  id: "keys",
  header: t().agents.keys,
  minWidth: 120,
  cell: ({ certified_at }) => (certified_at ? <When at={certified_at} relative /> : "–"),
});

/** Return the table's columns: a single one on a phone, with a remove button unless `onRemove` is null. */
export function columns(narrow: boolean, onRemove: OnRemove): Column[] {
  if (narrow) return [stacked(onRemove)];
  return [name(), status(), roots(), running(), tags(), version(), keys()];
}

function stacked(onRemove: OnRemove): Column {
  return {
    id: "all",
    header: t().agents.agent,
    isRowHeader: true,
    cell: (agent) => (
      <SpaceBetween size="xxs">
        {name().cell(agent)}
        <div>{status().cell(agent)}</div>
        <div>{roots().cell(agent)}</div>
        <TagBadges tags={agent.tags} />
        <Box color="text-body-secondary" fontSize="body-s">
          {t().agents.version} {version().cell(agent)} · {t().agents.keys} {keys().cell(agent)}
        </Box>
        {onRemove && <Remove agent={agent} onRemove={onRemove} />}
      </SpaceBetween>
    ),
  };
}

function Remove({ agent, onRemove }: { agent: AgentSummary; onRemove: NonNullable<OnRemove> }) {
  return (
    <Button
      variant="inline-link"
      ariaLabel={t().agents.removeIt(agent.agent_id)}
      onClick={() => onRemove(agent)}
    >
      {t().common.remove}
    </Button>
  );
}
