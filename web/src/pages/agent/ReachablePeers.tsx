import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { State } from "../../components/text";
import { safeText } from "../../format/names";
import { useAgentsNamed } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { href } from "../../router";
import type { Agent } from "../../types";
import { type PeerReachability, peerReachability } from "./reachability";

type Column = TableProps.ColumnDefinition<PeerReachability>;

/** Table of agents with which this agent exchanged files, and how they connected. */
export function ReachablePeers({ agent }: { agent: Agent }) {
  const labels = t().reach;
  const { data } = useAgentsNamed((agent.reached ?? []).map(({ agent_id }) => agent_id));
  const narrow = useNarrow();
  const peers = peerReachability(agent, data?.agents ?? []);
  const { online = 0, late = 0, offline = 0 } = data?.counts ?? {};
  const others = online + late + offline - 1;
  const withoutExchange = others - peers.filter(({ status }) => status !== null).length;
  return (
    <Table
      header={
        <Header counter={`(${peers.length})`} description={labels.hint}>
          {labels.title}
        </Header>
      }
      items={peers}
      trackBy="name"
      wrapLines
      empty={labels.none}
      footer={
        peers.length > 0 &&
        withoutExchange > 0 && <Box textAlign="center">{labels.withoutExchange(withoutExchange)}</Box>
      }
      ariaLabels={{ tableLabel: labels.title }}
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
  { id: "way", header: t().reach.connection, cell: (meeting) => <ConnectionText {...meeting} /> },
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
        <ConnectionText {...meeting} />
      </div>
    </SpaceBetween>
  ),
});

function Status({ status }: PeerReachability) {
  return status ? <State of={status} /> : t().agent.noSuchAgent;
}

function ConnectionText({ by, to, address, relayed }: PeerReachability) {
  const labels = t().reach;
  if (relayed) return labels.relayed;
  return (
    <>
      {labels.direct(by, to)}
      {address && (
        <>
          {`, ${labels.at} `}
          <bdi className="name mono">{safeText(address)}</bdi>
        </>
      )}
    </>
  );
}
