import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { TableProps } from "@cloudscape-design/components/table";
import { bytes } from "../../format/sizes";
import { Name, State, When } from "../../parts/text";
import { hrefWith } from "../../router";
import type { Agent } from "../../types";

type Column = TableProps.ColumnDefinition<Agent>;
type OnRemove = ((agent: Agent) => void) | null;

const NAME: Column = {
  id: "name",
  header: "Name",
  sortingField: "agent_id",
  isRowHeader: true,
  minWidth: 150,
  cell: (agent) => (
    <>
      <strong>{agent.agent_id}</strong>
      <Box color="text-body-secondary" fontSize="body-s">
        <Name>{[agent.hostname, agent.ip_address].filter(Boolean).join(" · ")}</Name>
      </Box>
    </>
  ),
};

const STATUS: Column = {
  id: "status",
  header: "Status, last heartbeat",
  sortingField: "status",
  minWidth: 130,
  cell: ({ status, last_heartbeat }) => (
    <>
      <State of={status} />
      <Box color="text-body-secondary" fontSize="body-s">
        {last_heartbeat ? <When at={last_heartbeat} relative /> : "never heard from"}
      </Box>
    </>
  ),
};

const ROOTS: Column = {
  id: "roots",
  header: "Roots and free space",
  minWidth: 240,
  cell: ({ roots }) => (roots.length ? roots.map((root) => <Root key={root.path} root={root} />) : "none"),
};

const RUNNING: Column = {
  id: "running",
  header: "Running hops",
  sortingField: "running",
  minWidth: 110,
  cell: ({ agent_id, running }) =>
    running > 0 ? <Link href={hrefWith("transfers", { agent: agent_id })}>{running}</Link> : "0",
};

const TAGS: Column = {
  id: "tags",
  header: "Tags",
  minWidth: 120,
  cell: ({ tags }) => <Tags tags={tags} />,
};

const VERSION: Column = {
  id: "version",
  header: "Version",
  sortingField: "version",
  cell: ({ version }) => version,
};

/** The table's columns: on a phone everything in one. `onRemove` is null for who may not. */
export function columns(narrow: boolean, onRemove: OnRemove): Column[] {
  if (narrow) return [stacked(onRemove)];
  const all = [NAME, STATUS, ROOTS, RUNNING, TAGS, VERSION];
  return onRemove ? [...all, removal(onRemove)] : all;
}

function removal(onRemove: NonNullable<OnRemove>): Column {
  return {
    id: "remove",
    header: "Actions",
    minWidth: 115,
    cell: (agent) => <Remove agent={agent} onRemove={onRemove} />,
  };
}

function stacked(onRemove: OnRemove): Column {
  return {
    id: "all",
    header: "Agent",
    isRowHeader: true,
    cell: (agent) => (
      <SpaceBetween size="xxs">
        {NAME.cell(agent)}
        <div>{STATUS.cell(agent)}</div>
        <div>{ROOTS.cell(agent)}</div>
        <Tags tags={agent.tags} />
        {onRemove && <Remove agent={agent} onRemove={onRemove} />}
      </SpaceBetween>
    ),
  };
}

function Root({ root }: { root: Agent["roots"][number] }) {
  const room =
    root.free !== null && root.size !== null
      ? `${bytes(root.free)} free of ${bytes(root.size)}`
      : "not there";
  return (
    <div>
      <span className="mono">
        <Name>{root.path}</Name>
      </span>{" "}
      <Badge color={root.access === "rw" ? "blue" : "grey"}>
        {root.access === "rw" ? "read, write" : "read only"}
      </Badge>{" "}
      <Box
        display="inline"
        color={root.free === null ? "text-status-warning" : "text-body-secondary"}
        fontSize="body-s"
      >
        {room}
      </Box>
    </div>
  );
}

function Tags({ tags }: { tags: Agent["tags"] }) {
  const pairs = Object.entries(tags);
  if (pairs.length === 0) return null;
  return (
    <SpaceBetween direction="horizontal" size="xxs">
      {pairs.map(([key, value]) => (
        <Badge key={key}>
          <Name>{value ? `${key}: ${value}` : key}</Name>
        </Badge>
      ))}
    </SpaceBetween>
  );
}

function Remove({ agent, onRemove }: { agent: Agent; onRemove: NonNullable<OnRemove> }) {
  return (
    <Button variant="inline-link" ariaLabel={`Remove ${agent.agent_id}`} onClick={() => onRemove(agent)}>
      Remove
    </Button>
  );
}
