import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { Suspense, useEffect } from "react";
import { ErrorBoundary } from "../../components/ErrorBoundary";
import { LiveIndicator } from "../../components/LiveIndicator";
import { Loading } from "../../components/Loading";
import { PageError } from "../../components/PageError";
import { HopProblem, ProblemAlert } from "../../components/ProblemAlert";
import { ProgressLine } from "../../components/ProgressLine";
import { LocationLink, Name, StatusBadge, When } from "../../components/text";
import { actorName } from "../../format/names";
import { describeOptions } from "../../format/options";
import { count, dollars, duration, share } from "../../format/sizes";
import { lazyPage } from "../../hooks/lazyPage";
import { useAgentsNamed, useTransfer } from "../../hooks/queries";
import { useNow } from "../../hooks/useNow";
import { t } from "../../i18n";
import { type LiveProgressByHop, progressOf, transferProgress } from "../../live/mergeProgress";
import { transferReason } from "../../live/stateReason";
import { useLive } from "../../live/useLive";
import { isUnfinished } from "../../model/transferActions";
import { href } from "../../router";
import type { Cost, Transfer, TransferState } from "../../types";
import { ApprovalAlert } from "./ApprovalAlert";
import { FilesPanel } from "./FilesPanel";
import { HopFindings, HopPanel, HopSummary } from "./HopPanel";
import { TransferActions } from "./TransferActions";
import { TransferTimeline } from "./TransferTimeline";

const SpeedPlot = lazyPage(() => import("./SpeedPlot"));

/** Unfinished states in which no agent reports progress. */
const IDLE_STATES: ReadonlySet<TransferState> = new Set(["paused", "awaiting_approval"]);

export default function TransferPage({ transferId }: { transferId: string }) {
  const query = useTransfer(transferId);
  const transfer = query.data;
  const active = transfer !== undefined && isUnfinished(transfer.state) && !IDLE_STATES.has(transfer.state);
  const { received, connected } = useLive(transferId, active ? [transferId] : []);
  const again = () => query.refetch();
  if (!transfer) {
    return query.isError ? (
      <PageError title={t().transfer.tab(transferId)} error={query.error} onRetry={again} />
    ) : (
      <Loading what={t().transfer.thing} />
    );
  }
  const live = { transfer, received, fetchedAt: query.dataUpdatedAt };
  return (
    <SpaceBetween size="l">
      {query.isError && <ProblemAlert error={query.error} onRetry={again} />}
      <Header
        variant="h1"
        description={<span className="mono">{transfer.transfer_id}</span>}
        actions={<TransferActions transfer={transfer} />}
      >
        <Title transfer={transfer} />
      </Header>
      {transfer.problem && !transfer.hops.some((hop) => hop.problem) && (
        <HopProblem problem={transfer.problem} />
      )}
      <ApprovalAlert transfer={transfer} />
      <Hero {...live} live={active ? connected : null} />
      <Container header={<Header variant="h2">{t().transfer.overview}</Header>}>
        <KeyValuePairs columns={4} items={facts(transfer)} />
      </Container>
      {transfer.hops.length > 1 && <Hops {...live} />}
      {!transfer.dry_run && transfer.hops.some((hop) => hop.ended_at) && <FilesPanel transfer={transfer} />}
      <TransferTimeline transfer={transfer} />
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
      <LocationLink at={transfer.source} /> → <LocationLink at={first} />
    </>
  ) : (
    <>
      <LocationLink at={transfer.source} /> → {t().transfer.destinations(transfer.destinations.length)}
    </>
  );
}

interface HopsProps {
  transfer: Transfer;
  received: LiveProgressByHop;
  /** When the API answered, in milliseconds since 1970. */
  fetchedAt: number;
}

interface HeroProps extends HopsProps {
  /** Whether the page is connected to the broker; null if there is nothing to subscribe to. */
  live: boolean | null;
}

/** How it is, why, how far and how fast; of a single hop also what went wrong. */
function Hero({ transfer, received, fetchedAt, live }: HeroProps) {
  const now = useNow();
  const agents = useAgentsNamed(agentsOf(transfer)).data?.agents ?? [];
  const progress = transferProgress(transfer.hops.map((hop) => progressOf(hop, received, now, fetchedAt)));
  const [only] = transfer.hops.length === 1 ? transfer.hops : [];
  // What ended its only hop is said below, with advice.
  const reason = only?.ended_at ? null : transferReason(transfer, { agents, received, now, fetchedAt });
  useTabTitle(transfer, share(progress));
  return (
    <Container
      header={
        <Header variant="h2" actions={live !== null && <LiveIndicator live={live} />}>
          <StatusBadge of={transfer} reason={reason} />
        </Header>
      }
    >
      <SpaceBetween size="l">
        {transfer.dry_run ? (
          <StatusIndicator type="info">{t().preview.onlyLooks}</StatusIndicator>
        ) : (
          <ProgressLine
            progress={progress}
            hops={transfer.hops.length}
            moving={transfer.state === "running"}
            label={only ? t().amounts.progress : t().transfer.allHops}
            detailed
          />
        )}
        {!transfer.dry_run && (
          <ErrorBoundary place={transfer.transfer_id}>
            <Suspense fallback={<div className="plot" />}>
              <SpeedPlot transfer={transfer} speed={live === null ? null : progress.bytes_per_second} />
            </Suspense>
          </ErrorBoundary>
        )}
        {only && <HopFindings hop={only} received={received} fetchedAt={fetchedAt} dry={transfer.dry_run} />}
        {only && (
          <ExpandableSection headerText={t().transfer.hop} variant="footer">
            <HopSummary hop={only} />
          </ExpandableSection>
        )}
      </SpaceBetween>
    </Container>
  );
}

/** Show in the browser's tab how far an unfinished transfer is. */
function useTabTitle({ transfer_id, state }: Transfer, percent: number | null): void {
  const title = t().transfer.tab(transfer_id);
  const done = isUnfinished(state) && percent !== null ? `${percent} % · ` : "";
  useEffect(() => {
    document.title = `${done}${title} · Crosshaul`;
  }, [done, title]);
}

function facts(transfer: Transfer) {
  const { template_id, selection_count, ended_at, cost } = transfer;
  return [
    { label: t().transfers.requestedBy, value: <Name>{actorName(transfer.created_by)}</Name> },
    { label: t().transfer.requestedAt, value: <When at={transfer.created_at} /> },
    { label: t().transfer.ended, value: ended_at ? <When at={ended_at} /> : "–" },
    ...(ended_at ? [{ label: t().transfer.took, value: duration(secondsAtWork(transfer)) }] : []),
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
    ...(cost && (cost.dollars || cost.storage_a_month)
      ? [{ label: cost.final ? t().transfer.didCost : t().transfer.willCost, value: costText(cost) }]
      : []),
    { label: t().transfer.options, value: describeOptions(transfer.options).join(", ") },
  ];
}

/** Return what a transfer costs, its parts, and of when the prices are. */
function costText({ dollars: sum, requests, egress, relay, storage_a_month, prices_as_of }: Cost): string {
  const labels = t().transfer;
  const parts = [
    requests && labels.costRequests(dollars(requests)),
    egress && labels.costEgress(dollars(egress)),
    relay && labels.costRelay(dollars(relay)),
    storage_a_month && labels.costStored(dollars(storage_a_month)),
    labels.costPrices(prices_as_of),
  ];
  return labels.cost(dollars(sum), parts.filter(Boolean).join(", "));
}

/** Return how long it moved: hops that moved at the same time count once. */
function secondsAtWork({ hops }: Transfer): number {
  return Math.max(...hops.map((hop) => hop.seconds_at_work));
}

/** Return the agents of all hops: one query asks for them, whichever part of the page needs some. */
function agentsOf({ hops }: Transfer): string[] {
  return hops.flatMap(({ agents }) => agents);
}

function Hops({ transfer, received, fetchedAt }: HopsProps) {
  const agents = useAgentsNamed(agentsOf(transfer)).data?.agents ?? [];
  return (
    <SpaceBetween size="s">
      <Box variant="h2">{t().transfer.hops(transfer.hops.length)}</Box>
      {transfer.hops.map((hop, number) => (
        <HopPanel
          key={hop.hop_id}
          hop={hop}
          number={number}
          agents={agents}
          received={received}
          fetchedAt={fetchedAt}
          dry={transfer.dry_run}
        />
      ))}
    </SpaceBetween>
  );
}
