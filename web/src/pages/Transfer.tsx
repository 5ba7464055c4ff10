import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { goesOn } from "../actions";
import { useTransfer } from "../api/queries";
import { useNow } from "../clock";
import { actor } from "../format/names";
import { bytes, count } from "../format/sizes";
import { type Heard, progressOf, summed } from "../live/merge";
import { useLive } from "../live/useLive";
import { HopProblem, ProblemAlert } from "../parts/ProblemAlert";
import { ProgressLine } from "../parts/ProgressLine";
import { Place, State, When } from "../parts/text";
import { Waiting } from "../parts/Waiting";
import { href } from "../router";
import type { Options, Transfer } from "../types";
import { HopPanel } from "./transfer/HopPanel";
import { Steering } from "./transfer/Steering";
import { Timeline } from "./transfer/Timeline";

export default function TransferPage({ transferId }: { transferId: string }) {
  const asked = useTransfer(transferId);
  const transfer = asked.data;
  const active = transfer !== undefined && goesOn(transfer.state) && transfer.state !== "paused";
  const { heard, connected } = useLive(transferId, active);
  const trouble = asked.isError && <ProblemAlert error={asked.error} onRetry={() => asked.refetch()} />;
  if (!transfer) return trouble || <Waiting what="the transfer" />;
  return (
    <SpaceBetween size="l">
      {trouble}
      <Header
        variant="h1"
        description={<Beneath transfer={transfer} />}
        actions={<Steering transfer={transfer} />}
      >
        <Title transfer={transfer} />
      </Header>
      {transfer.problem && !transfer.hops.some((hop) => hop.problem) && (
        <HopProblem problem={transfer.problem} />
      )}
      <Overview transfer={transfer} heard={heard} live={active ? connected : null} />
      <Hops transfer={transfer} heard={heard} />
      <Timeline moments={transfer.timeline} />
    </SpaceBetween>
  );
}

function Beneath({ transfer }: { transfer: Transfer }) {
  return (
    <SpaceBetween direction="horizontal" size="s">
      <State of={transfer.state} />
      <span className="mono">{transfer.transfer_id}</span>
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
    { label: "Asked by", value: <bdi className="name">{actor(transfer.created_by)}</bdi> },
    { label: "Asked for", value: <When at={transfer.created_at} /> },
    { label: "Ended", value: ended_at ? <When at={ended_at} /> : "–" },
    ...(transfer.destinations.length > 1 ? [{ label: "Order", value: ORDER[transfer.shape] }] : []),
    ...(template_id
      ? [
          {
            label: "Template",
            value: <Link href={href("templates", template_id, "edit")}>{template_id}</Link>,
          },
        ]
      : []),
    ...(selection_count ? [{ label: "Objects gathered", value: count(selection_count) }] : []),
    { label: "Options", value: optionWords(transfer.options) },
  ];
}

const ORDER: Record<Transfer["shape"], string> = {
  chain: "Chain: one after the other",
  fan_out: "Fan-out: all at once",
};

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
