import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { Suspense } from "react";
import { ErrorBoundary } from "../../components/ErrorBoundary";
import { LiveIndicator } from "../../components/LiveIndicator";
import { Loading } from "../../components/Loading";
import { PageError } from "../../components/PageError";
import { HopProblem, ProblemAlert } from "../../components/ProblemAlert";
import { ProgressLine } from "../../components/ProgressLine";
import { LocationName, StatusBadge, When } from "../../components/text";
import { actorName } from "../../format/names";
import { describeOptions } from "../../format/options";
import { count, duration } from "../../format/sizes";
import { lazyPage } from "../../hooks/lazyPage";
import { useAgents, useTransfer } from "../../hooks/queries";
import { useNow } from "../../hooks/useNow";
import { t } from "../../i18n";
import { type LiveProgressByHop, progressOf, sumProgress } from "../../live/mergeProgress";
import { transferReason } from "../../live/stateReason";
import { useLive } from "../../live/useLive";
import { isUnfinished } from "../../model/transferActions";
import { href } from "../../router";
import type { Transfer, TransferState } from "../../types";
import { ApprovalAlert } from "./ApprovalAlert";
import { HopPanel } from "./HopPanel";
import { ManifestButton } from "./ManifestButton";
import { ReportButton } from "./ReportButton";
import { TransferActions } from "./TransferActions";
import { TransferTimeline } from "./TransferTimeline";

const SpeedPlot = lazyPage(() => import("./SpeedPlot"));

/** Unfinished states in which no agent reports progress. */
const IDLE_STATES: ReadonlySet<TransferState> = new Set(["paused", "awaiting_approval"]);

export default function TransferPage({ transferId }: { transferId: string }) {
  const query = useTransfer(transferId);
  const transfer = query.data;
  const active = transfer !== undefined && isUnfinished(transfer.state) && !IDLE_STATES.has(transfer.state);
  const { received, connected } = useLive(transferId, active);
  const again = () => query.refetch();
  if (!transfer) {
    return query.isError ? (
      <PageError title={t().transfer.tab(transferId)} error={query.error} onRetry={again} />
    ) : (
      <Loading what={t().transfer.thing} />
    );
  }
  return (
    <SpaceBetween size="l">
      {query.isError && <ProblemAlert error={query.error} onRetry={again} />}
      <Header
        variant="h1"
        description={<Subtitle transfer={transfer} received={received} fetchedAt={query.dataUpdatedAt} />}
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <CopyToClipboard
              textToCopy={window.location.href}
              copyButtonText={t().transfer.copyLink}
              copySuccessText={t().common.copied}
              copyErrorText={t().common.notCopied}
            />
            {!transfer.dry_run && transfer.hops.some((hop) => hop.ended_at) && (
              <ManifestButton transfer={transfer} />
            )}
            {transfer.ended_at && <ReportButton transfer={transfer} />}
            <TransferActions transfer={transfer} />
          </SpaceBetween>
        }
      >
        <Title transfer={transfer} />
      </Header>
      {transfer.problem && !transfer.hops.some((hop) => hop.problem) && (
        <HopProblem problem={transfer.problem} />
      )}
      <ApprovalAlert transfer={transfer} />
      <Overview
        transfer={transfer}
        received={received}
        fetchedAt={query.dataUpdatedAt}
        live={active ? connected : null}
      />
      <Hops transfer={transfer} received={received} fetchedAt={query.dataUpdatedAt} />
      <TransferTimeline transfer={transfer} />
    </SpaceBetween>
  );
}

function Subtitle({ transfer, received, fetchedAt }: HopsProps) {
  const known = { agents: useAgents().data ?? [], received, now: useNow(), fetchedAt };
  return (
    <SpaceBetween direction="horizontal" size="s">
      <StatusBadge of={transfer} reason={transferReason(transfer, known)} />
      <span className="mono">{transfer.transfer_id}</span>
    </SpaceBetween>
  );
}

function Title({ transfer }: { transfer: Transfer }) {
  return (
    <>
      {transfer.dry_run && `${t().preview.title}: `}
      <Ends transfer={transfer} />
    </>
  );
}

function Ends({ transfer }: { transfer: Transfer }) {
  const [first] = transfer.destinations;
  return transfer.destinations.length === 1 && first ? (
    <>
      <LocationName at={transfer.source} /> → <LocationName at={first} />
    </>
  ) : (
    <>
      <LocationName at={transfer.source} /> → {t().transfer.destinations(transfer.destinations.length)}
    </>
  );
}

interface HopsProps {
  transfer: Transfer;
  received: LiveProgressByHop;
  /** When the API answered, in milliseconds since 1970. */
  fetchedAt: number;
}

interface OverviewProps extends HopsProps {
  /** Whether the page is connected to the broker; null if there is nothing to subscribe to. */
  live: boolean | null;
}

function Overview({ transfer, received, fetchedAt, live }: OverviewProps) {
  const now = useNow();
  const progress = sumProgress(transfer.hops.map((hop) => progressOf(hop, received, now, fetchedAt)));
  return (
    <Container
      header={
        <Header actions={live !== null && <LiveIndicator live={live} />}>{t().transfer.overview}</Header>
      }
    >
      <SpaceBetween size="l">
        {transfer.dry_run ? (
          <StatusIndicator type="info">{t().preview.onlyLooks}</StatusIndicator>
        ) : (
          <ProgressLine
            progress={progress}
            moving={transfer.state === "running"}
            label={t().transfer.allHops}
            detailed
          />
        )}
        {live !== null && !transfer.dry_run && (
          <ErrorBoundary place={transfer.transfer_id}>
            <Suspense fallback={<div className="plot" />}>
              <SpeedPlot key={transfer.transfer_id} speed={progress.bytes_per_second} />
            </Suspense>
          </ErrorBoundary>
        )}
        <KeyValuePairs columns={4} items={facts(transfer)} />
      </SpaceBetween>
    </Container>
  );
}

function facts(transfer: Transfer) {
  const { template_id, selection_count, ended_at } = transfer;
  return [
    { label: t().transfers.requestedBy, value: <bdi className="name">{actorName(transfer.created_by)}</bdi> },
    { label: t().transfer.requestedAt, value: <When at={transfer.created_at} /> },
    { label: t().transfer.ended, value: ended_at ? <When at={ended_at} /> : "–" },
    ...(ended_at
      ? [{ label: t().transfer.took, value: duration(secondsBetween(transfer.created_at, ended_at)) }]
      : []),
    ...(transfer.destinations.length > 1
      ? [{ label: t().transfer.order, value: t().transfer.orders[transfer.shape] }]
      : []),
    ...(template_id
      ? [
          {
            label: t().transfer.template,
            value: <Link href={href("templates", template_id, "edit")}>{template_id}</Link>,
          },
        ]
      : []),
    ...(selection_count ? [{ label: t().transfer.objects, value: count(selection_count) }] : []),
    { label: t().transfer.options, value: describeOptions(transfer.options).join(", ") },
  ];
}

function secondsBetween(start: string, end: string): number {
  return (Date.parse(end) - Date.parse(start)) / 1000;
}

function Hops({ transfer, received, fetchedAt }: HopsProps) {
  return (
    <SpaceBetween size="s">
      <Box variant="h2">
        {transfer.hops.length === 1 ? t().transfer.hop : t().transfer.hops(transfer.hops.length)}
      </Box>
      {transfer.hops.map((hop, number) => (
        <HopPanel
          key={hop.hop_id}
          hop={hop}
          number={number}
          received={received}
          fetchedAt={fetchedAt}
          dry={transfer.dry_run}
        />
      ))}
    </SpaceBetween>
  );
}
