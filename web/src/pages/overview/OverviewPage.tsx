import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useAppContext } from "../../appContext";
import { LiveIndicator } from "../../components/LiveIndicator";
import { Loading } from "../../components/Loading";
import { PageError } from "../../components/PageError";
import { ProblemAlert } from "../../components/ProblemAlert";
import {
  useAgentsNamed,
  useAttention,
  useFleet,
  useOverview,
  useRunning,
  useTransfers,
} from "../../hooks/queries";
import { useNow } from "../../hooks/useNow";
import { t } from "../../i18n";
import { progressNow } from "../../live/mergeProgress";
import { useLive } from "../../live/useLive";
import { total } from "../../model/agents";
import { href } from "../../router";
import { mayAct } from "../../session/claims";
import type { AgentSummary, AttentionView, Fleet, TransferSummary } from "../../types";
import { AttentionList } from "./AttentionList";
import { CostsExport } from "./CostsExport";
import { Figures } from "./Figures";
import { FleetMap } from "./FleetMap";
import { MAX_PLACES } from "./layout";
import { attentionItems, type Edge, edgesOf, S3_PLACE } from "./overviewModel";
import { RunningList } from "./RunningList";

const NO_PREVIEWS = { dryRun: false };
const NONE: never[] = [];
/** Number of agents that need attention and are named; the others are counted. */
const MAX_NAMED = 16;

export default function OverviewPage() {
  const agents = useFleet({ attention: true }, { limit: MAX_NAMED });
  const running = useRunning();
  const recent = useTransfers(NO_PREVIEWS, null);
  const attention = useAttention();
  const failed = [agents, running, recent, attention].find((one) => one.isError);
  if (agents.data && running.data && recent.data && attention.data) {
    return (
      <Loaded
        agents={agents.data}
        running={running.data}
        fetchedAt={running.dataUpdatedAt}
        recent={recent.data.transfers}
        attention={attention.data}
        problem={failed && <ProblemAlert error={failed.error} onRetry={() => failed.refetch()} />}
      />
    );
  }
  return failed ? (
    <PageError title={t().overview.title} error={failed.error} onRetry={() => failed.refetch()} />
  ) : (
    <Loading what={t().common.page} />
  );
}

interface LoadedProps {
  /** The first agents that need attention, and how many there are in all. */
  agents: Fleet;
  running: TransferSummary[];
  /** When the API answered, in milliseconds since 1970. */
  fetchedAt: number;
  recent: readonly TransferSummary[];
  attention: AttentionView;
  problem: React.ReactNode;
}

function Loaded({ agents, running, fetchedAt, recent, attention, problem }: LoadedProps) {
  const { role } = useAppContext();
  const now = useNow();
  const active = running.length > 0;
  const { received, connected } = useLive(
    null,
    running.map(({ transfer_id }) => transfer_id),
  );
  const moving = running.map((transfer) => ({
    transfer,
    progress: progressNow(transfer, received, now, fetchedAt),
  }));
  const speed = moving.reduce((total, { progress }) => total + progress.bytes_per_second, 0);
  const totals = useOverview();
  const all = total(agents.counts);
  const edges = edgesOf(running, recent, received, now);
  const mapped = useMapped(agents, edges);
  return (
    <SpaceBetween size="l">
      {problem}
      <Header
        variant="h1"
        actions={
          <SpaceBetween direction="horizontal" size="s" alignItems="center">
            {active && <LiveIndicator live={connected} />}
            <CostsExport />
            {mayAct(role, "operator") && (
              <Button variant="primary" href={href("transfers", "new")}>
                {t().transfers.new}
              </Button>
            )}
          </SpaceBetween>
        }
      >
        {t().overview.title}
      </Header>
      {all === 0 && <Welcome />}
      <Figures
        agents={agents.counts}
        running={running.length}
        queued={attention.queued}
        speed={speed}
        totals={totals.data}
      />
      {all > 0 && (
        <Grid gridDefinition={[{ colspan: { default: 12, s: 7 } }, { colspan: { default: 12, s: 5 } }]}>
          <FleetMap agents={mapped} all={all} edges={edges} />
          <AttentionList items={attentionItems(agents.agents, agents.counts.attention, attention)} />
        </Grid>
      )}
      <RunningList moving={moving} queued={attention.queued} />
      <Latest transfers={recent.filter((one) => one.state !== "running").slice(0, 5)} />
    </SpaceBetween>
  );
}

/**
 * Return the agents for the map: all if there are few, otherwise those that take part in a transfer, then
 * those that need attention.
 */
function useMapped({ agents, counts }: Fleet, edges: readonly Edge[]): AgentSummary[] {
  const few = total(counts) <= MAX_PLACES;
  const names = edges.flatMap(({ from, to }) => [from, to]).filter((place) => place !== S3_PLACE);
  const every = useFleet({}, { limit: MAX_PLACES, enabled: few });
  const busy = useAgentsNamed([...new Set(names)].slice(0, MAX_PLACES), { enabled: !few });
  if (few) return every.data?.agents ?? [];
  const known = new Map([...(busy.data?.agents ?? []), ...agents].map((agent) => [agent.agent_id, agent]));
  return [...known.values()];
}

function Welcome() {
  const { steps, welcome } = t().overview;
  return (
    <Container header={<Header variant="h2">{welcome}</Header>}>
      <ColumnLayout columns={3}>
        {[
          { text: steps.agent, to: href("agents"), label: t().agents.add },
          { text: steps.transfer, to: href("transfers", "new"), label: t().transfers.new },
          { text: steps.template, to: href("templates", "new"), label: t().templates.new },
        ].map(({ text, to, label }, number) => (
          <div key={label}>
            <Box variant="h3">{`${number + 1}. ${label}`}</Box>
            <Box variant="p">{text}</Box>
            <Link href={to}>{label}</Link>
          </div>
        ))}
      </ColumnLayout>
    </Container>
  );
}

function Latest({ transfers }: { transfers: readonly TransferSummary[] }) {
  return (
    <RunningList
      title={t().overview.recent}
      moving={
        transfers.length ? transfers.map((transfer) => ({ transfer, progress: transfer.progress })) : NONE
      }
      ended
    />
  );
}
