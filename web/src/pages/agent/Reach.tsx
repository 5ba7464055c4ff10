import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { State } from "../../components/text";
import { shown } from "../../format/names";
import { useAgents } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { href } from "../../router";
import type { Agent } from "../../types";
import { type Meeting, meetings } from "./reachability";

type Column = TableProps.ColumnDefinition<Meeting>;

/** Which others it has exchanged files with, and who got through to whom. */
export function Reach({ agent }: { agent: Agent }) {
  const words = t().reach;
  const agents = useAgents();
  const narrow = useNarrow();
  const met = meetings(agent, agents.data ?? []);
  const others = (agents.data ?? []).filter(({ agent_id }) => agent_id !== agent.agent_id);
  const strangers = others.filter(({ agent_id }) => !met.some(({ name }) => name === agent_id)).length;
  return (
    <Table
      header={
        <Header counter={`(${met.length})`} description={words.hint}>
          {words.title}
        </Header>
      }
      items={met}
      trackBy="name"
      wrapLines
      empty={words.none}
      footer={met.length > 0 && strangers > 0 && <Box textAlign="center">{words.strangers(strangers)}</Box>}
      ariaLabels={{ tableLabel: words.title }}
      columnDefinitions={narrow ? [stacked()] : columns()}
    />
  );
}

const columns = (): Column[] => [
  {
    id: "name",
    header: t().agents.agent,
    isRowHeader: true,
    cell: ({ name }) => <Link href={href("agents", name)}>{name}</Link>,
  },
  {
    id: "status",
    header: t().agents.status,
    cell: (meeting) => <Status {...meeting} />,
  },
  { id: "way", header: t().reach.way, cell: (meeting) => <Way {...meeting} /> },
];

const stacked = (): Column => ({
  id: "all",
  header: t().agents.agent,
  isRowHeader: true,
  cell: (meeting) => (
    <SpaceBetween size="xxs">
      <Link href={href("agents", meeting.name)}>{meeting.name}</Link>
      <Status {...meeting} />
      <div>
        <Way {...meeting} />
      </div>
    </SpaceBetween>
  ),
});

function Status({ status }: Meeting) {
  return status ? <State of={status} /> : t().agent.unknown;
}

function Way({ by, to, address, relayed }: Meeting) {
  const words = t().reach;
  if (relayed) return words.relayed;
  return (
    <>
      {words.direct(by, to)}
      {address && (
        <>
          {`, ${words.at} `}
          <bdi className="name mono">{shown(address)}</bdi>
        </>
      )}
    </>
  );
}
