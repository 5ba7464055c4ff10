import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { TableProps } from "@cloudscape-design/components/table";
import { TagBadges } from "../../components/TagBadges";
import { ClockSkew, Name, State, When } from "../../components/text";
import { bytes, decimal } from "../../format/sizes";
import { isClockWrong } from "../../format/times";
import { t } from "../../i18n";
import { href, hrefWith } from "../../router";
import type { Agent } from "../../types";

type Column = TableProps.ColumnDefinition<Agent>;
type OnRemove = ((agent: Agent) => void) | null;

const name = (): Column => ({
  id: "name",
  header: t().common.name,
  sortingField: "agent_id",
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
  header: t().agents.heartbeat,
  sortingField: "status",
  minWidth: 125,
  cell: ({ status: now, last_heartbeat }) => (
    <>
      <State of={now} />
      <Box color="text-body-secondary" fontSize="body-s">
        {last_heartbeat ? <When at={last_heartbeat} relative /> : t().agents.never}
      </Box>
    </>
  ),
});

const roots = (): Column => ({
  id: "roots",
  header: t().agents.roots,
  minWidth: 250,
  cell: (agent) =>
    agent.roots.length ? agent.roots.map((root) => <Root key={root.path} root={root} />) : t().common.none,
});

const running = (): Column => ({
  id: "running",
  header: t().agents.running,
  sortingField: "running",
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
  sortingField: "version",
  cell: (agent) => agent.version,
});

const load = (): Column => ({
  id: "load",
  header: t().agents.load,
  sortingField: "load",
  minWidth: 100,
  cell: ({ load: now, skew }) => (
    <>
      {now === null ? "–" : decimal(now)}
      <div>
        <ClockSkew skew={skew} />
      </div>
    </>
  ),
});

/** When the agent's certificate was issued. */
const keys = (): Column => ({
  id: "keys",
  header: t().agents.keys,
  sortingField: "certified_at",
  minWidth: 120,
  cell: ({ certified_at }) => (certified_at ? <When at={certified_at} relative /> : "–"),
});

/** Return the table's columns: a single one on a phone, with a remove button unless `onRemove` is null. */
export function columns(narrow: boolean, onRemove: OnRemove): Column[] {
  if (narrow) return [stacked(onRemove)];
  return [name(), status(), roots(), running(), load(), tags(), version(), keys()];
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
        {agent.status !== "offline" && isClockWrong(agent.skew) && <ClockSkew skew={agent.skew} />}
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

export function Root({ root }: { root: Agent["roots"][number] }) {
  const room =
    root.free !== null && root.size !== null
      ? t().agents.freeOf(bytes(root.free), bytes(root.size))
      : t().browser.notFound;
  return (
    <div>
      <span className="mono">
        <Name>{root.path}</Name>
      </span>{" "}
      <Badge color={root.access === "rw" ? "blue" : "grey"}>
        {root.access === "rw" ? t().browser.rw : t().browser.ro}
      </Badge>{" "}
      <Box
        display="inline"
        color={root.free === null ? "text-status-warning" : "text-body-secondary"}
        fontSize="body-s"
      >
        <span className="whole">{room}</span>
      </Box>
    </div>
  );
}

function Remove({ agent, onRemove }: { agent: Agent; onRemove: NonNullable<OnRemove> }) {
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
