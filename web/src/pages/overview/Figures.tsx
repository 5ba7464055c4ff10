import Box from "@cloudscape-design/components/box";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import Link from "@cloudscape-design/components/link";
import type { ReactNode } from "react";
import { bytes, count, countUpTo, speed as speedText } from "../../format/sizes";
import { MAX_RUNNING, MAX_WAITING } from "../../hooks/queries";
import { t } from "../../i18n";
import { href, hrefWith } from "../../router";
import type { AgentCounts, AgentStatus, Overview, TransferTotals } from "../../types";

interface Props {
  agents: AgentCounts;
  running: number;
  queued: number;
  speed: number;
  totals: Overview | undefined;
}

/** Key figures: agents, running transfers, and totals. */
export function Figures({ agents, running, queued, speed, totals }: Props) {
  const labels = t().overview;
  return (
    <Container>
      <ColumnLayout columns={4} variant="text-grid" minColumnWidth={150}>
        <Figure label={labels.agents} under={<Statuses agents={agents} />}>
          <Link href={href("agents")} fontSize="heading-xl">
            {count(agents.online)}
          </Link>
        </Figure>
        <Figure label={labels.running} under={<Moving speed={speed} queued={queued} />}>
          <Link href={hrefWith("transfers", { status: "running" })} fontSize="heading-xl">
            {countUpTo(running, MAX_RUNNING)}
          </Link>
        </Figure>
        <Figure label={labels.today} under={totals && transfersText(totals.today)}>
          <Big>{totals ? bytes(totals.today.bytes_arrived) : "–"}</Big>
        </Figure>
        <Figure label={labels.month} under={totals && <Success month={totals.month} />}>
          <Big>{totals ? bytes(totals.month.bytes_arrived) : "–"}</Big>
        </Figure>
      </ColumnLayout>
    </Container>
  );
}

function Moving({ speed, queued }: { speed: number; queued: number }) {
  const labels = t().overview;
  return (
    <>
      {`${speedText(speed)} ${labels.total}`}
      {queued > 0 && (
        <>
          {" · "}
          <Link href={hrefWith("transfers", { status: "queued" })} fontSize="body-s">
            {labels.queued(queued, countUpTo(queued, MAX_WAITING))}
          </Link>
        </>
      )}
    </>
  );
}

function Figure({ label, under, children }: { label: string; under: ReactNode; children: ReactNode }) {
  return (
    <div>
      <Box variant="awsui-key-label">{label}</Box>
      {children}
      <Box color="text-body-secondary" fontSize="body-s">
        {under}
      </Box>
    </div>
  );
}

function Big({ children }: { children: ReactNode }) {
  return <Box fontSize="heading-xl">{children}</Box>;
}

function Statuses({ agents }: { agents: AgentCounts }) {
  const { agentsOnline: agentsUp, agentsLate, agentsOffline: agentsDown } = t().overview;
  const parts: [AgentStatus, string][] = [
    ["online", agentsUp],
    ["late", agentsLate],
    ["offline", agentsDown],
  ];
  return (
    <>
      {parts.map(([status, word], number) => (
        <span key={status}>
          {number > 0 && " · "}
          {agents[status] > 0 && status !== "online" ? (
            <Link href={hrefWith("agents", { status })} fontSize="body-s">
              {`${count(agents[status])} ${word}`}
            </Link>
          ) : (
            `${count(agents[status])} ${word}`
          )}
        </span>
      ))}
    </>
  );
}

function Success({ month }: { month: TransferTotals }) {
  const labels = t().overview;
  const ended = month.succeeded + month.failed;
  const rate = ended ? `${Math.floor((month.succeeded / ended) * 100)} %` : "";
  return ended ? (
    <span title={labels.success}>
      <strong>{rate}</strong>: {labels.successOf(count(month.succeeded), count(ended))}
    </span>
  ) : (
    labels.noneEnded
  );
}

function transfersText({ transfers }: TransferTotals): string {
  return t().overview.transfers(transfers, count(transfers));
}
