import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { goesOn } from "../actions";
import { useTransfer } from "../api/queries";
import { useNow } from "../clock";
import { bytes, count } from "../format/sizes";
import { type Heard, progressOf, summed } from "../live/merge";
import { useLive } from "../live/useLive";
import { HopProblem, ProblemAlert } from "../parts/ProblemAlert";
import { ProgressLine } from "../parts/ProgressLine";
import { Name, Place, State, When } from "../parts/text";
import { Waiting } from "../parts/Waiting";
import type { Options, Transfer } from "../types";
import { HopPanel } from "./transfer/HopPanel";
import { Steering } from "./transfer/Steering";
import { Timeline } from "./transfer/Timeline";

export default function TransferPage({ transferId }: { transferId: string }) {
  const asked = useTransfer(transferId);
  const transfer = asked.data;
  const active = transfer !== undefined && goesOn(transfer.state) && transfer.state !== "paused";
  const { heard, connected } = useLive(transferId, active);
  return (
    <SpaceBetween size="l">
      {asked.isError && <ProblemAlert error={asked.error} onRetry={() => asked.refetch()} />}
      {asked.isPending && <Waiting what="the transfer" />}
      {transfer && (
        <>
          <Header
            variant="h1"
            description={<span className="mono">{transfer.transfer_id}</span>}
            actions={<Steering transfer={transfer} />}
          >
            <State of={transfer.state} /> <Title transfer={transfer} />
          </Header>
          {transfer.problem && !transfer.hops.some((hop) => hop.problem) && (
            <HopProblem problem={transfer.problem} />
          )}
          <Overview transfer={transfer} heard={heard} live={active ? connected : null} />
          <Hops transfer={transfer} heard={heard} />
          <Timeline moments={transfer.timeline} />
        </>
      )}
    </SpaceBetween>
  );
}

function Title({ transfer }: { transfer: Transfer }) {
  const [first] = transfer.destinations;
  return transfer.destinations.length === 1 && first ? (
    <>
      <Place at={transfer.source} /> → <Place at={first} />
    </>
  ) : (
    <>
      <Place at={transfer.source} /> → {transfer.destinations.length} destinations
    </>
  );
}

interface OverviewProps {
  transfer: Transfer;
  heard: Heard;
  /** Does the broker speak to this page? null when there is nothing to listen to. */
  live: boolean | null;
}

function Overview({ transfer, heard, live }: OverviewProps) {
  const now = useNow();
  const progress = summed(transfer.hops.map((hop) => progressOf(hop, heard, now)));
  return (
    <Container header={<Header actions={live !== null && <Ear live={live} />}>Overview</Header>}>
      <SpaceBetween size="l">
        <ProgressLine
          progress={progress}
          moving={transfer.state === "running"}
          label="All hops together"
          detailed
        />
        <KeyValuePairs columns={4} items={facts(transfer)} />
      </SpaceBetween>
    </Container>
  );
}

function Ear({ live }: { live: boolean }) {
  return live ? (
    <StatusIndicator type="success">Live</StatusIndicator>
  ) : (
    <StatusIndicator type="info">Updated every 3 s</StatusIndicator>
  );
}

function facts(transfer: Transfer) {
  const { template_id, selection_count, ended_at } = transfer;
  return [
    { label: "Asked by", value: <Name>{transfer.created_by}</Name> },
    { label: "Asked for", value: <When at={transfer.created_at} /> },
    { label: "Ended", value: ended_at ? <When at={ended_at} /> : "–" },
    { label: "Order", value: transfer.shape === "chain" ? "Chain: one after the other" : "Fan-out" },
    ...(template_id ? [{ label: "Template", value: template_id }] : []),
    ...(selection_count ? [{ label: "Objects gathered", value: count(selection_count) }] : []),
    { label: "Options", value: optionWords(transfer.options) },
  ];
}

/** The options that matter, in words. */
function optionWords(options: Options): string {
  const words = [
    `overwrite ${options.overwrite}`,
    options.verify === "reread" ? "read back what was written" : "",
    options.symlinks === "keep" ? "" : `${options.symlinks} symlinks`,
    options.streams ? `${options.streams} streams` : "",
    options.bandwidth_limit ? `at most ${bytes(options.bandwidth_limit)}/s` : "",
    options.if_offline === "refuse" ? "refused when an agent is offline" : "",
  ];
  return words.filter(Boolean).join(", ");
}

function Hops({ transfer, heard }: { transfer: Transfer; heard: Heard }) {
  return (
    <SpaceBetween size="s">
      <Box variant="h2">{transfer.hops.length === 1 ? "Hop" : `Hops (${transfer.hops.length})`}</Box>
      {transfer.hops.map((hop, number) => (
        <HopPanel key={hop.hop_id} hop={hop} number={number} heard={heard} />
      ))}
    </SpaceBetween>
  );
}
