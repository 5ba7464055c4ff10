import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { State } from "../../components/text";
import { safeText } from "../../format/names";
import { useAgents } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { href } from "../../router";
import type { Agent } from "../../types";
import { type PeerReachability, peerReachability } from "./reachability";

type Column = TableProps.ColumnDefinition<PeerReachability>;

/** Table of agents with which this agent exchanged files, and how they connected. */
export function ReachablePeers({ agent }: { agent: Agent }) {
  const words = t().reach;
  const agents = useAgents();
  const narrow = useNarrow();
  const met = peerReachability(agent, agents.data ?? []);
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
      footer={
        met.length > 0 && strangers > 0 && <Box textAlign="center">{words.withoutExchange(strangers)}</Box>
      }
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
  { id: "way", header: t().reach.connection, cell: (meeting) => <Way {...meeting} /> },
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

function Status({ status }: PeerReachability) {
  return status ? <State of={status} /> : t().agent.noSuchAgent;
}

function Way({ by, to, address, relayed }: PeerReachability) {
  const words = t().reach;
  if (relayed) return words.relayed;
  return (
    <>
      {words.direct(by, to)}
      {address && (
        <>
          {`, ${words.at} `}
          <bdi className="name mono">{safeText(address)}</bdi>
        </>
      )}
    </>
  );
}
