import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useRef } from "react";
import { safeText } from "../format/names";
import { useTransfer } from "../hooks/queries";
import { t } from "../i18n";
import { isUnfinished } from "../model/transferActions";
import { href } from "../router";
import type { Hop, StartDecision } from "../types";
import { Loading } from "./Loading";
import { PreviewResult } from "./PreviewResult";
import { HopProblem, ProblemAlert } from "./ProblemAlert";
import { LocationName, Name, State } from "./text";

interface Props {
  transferId: string;
  /** Whether the form has changed since the dry run. */
  stale: boolean;
  /** Whether the person is about to approve it: that it needs approval is no news. */
  approving?: boolean;
}

/** A dry run in progress, and its result. */
export function DryRun({ transferId, stale, approving = false }: Props) {
  const labels = t().preview;
  const query = useTransfer(transferId);
  const transfer = query.data;
  const place = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new preview is brought into view
  useEffect(() => {
    // Newer browsers return a promise, which an effect must not return.
    void place.current?.scrollIntoView({ block: "nearest" });
  }, [transferId, query.isPending]);
  return (
    <Container
      header={
        <Header
          description={labels.nothingWritten}
          actions={<Link href={href("transfers", transferId)}>{labels.asTransfer}</Link>}
        >
          {labels.title}
        </Header>
      }
    >
      <div ref={place} aria-live="polite">
        <SpaceBetween size="m">
          {!approving && <RealStart decision={transfer?.real_start ?? null} />}
          {stale && <Alert type="warning">{labels.stale}</Alert>}
          {query.isError && <ProblemAlert error={query.error} onRetry={() => query.refetch()} />}
          {!transfer && !query.isError && <Loading what={labels.thing} />}
          {transfer?.hops.map((hop) => (
            <HopResult key={hop.hop_id} hop={hop} />
          ))}
          {transfer && isUnfinished(transfer.state) && (
            <Box color="text-body-secondary">{labels.comparing}</Box>
          )}
        </SpaceBetween>
      </div>
    </Container>
  );
}

/** Foretell what policies decide when the transfer is started. */
export function RealStart({ decision }: { decision: StartDecision | null }) {
  if (!decision?.needs_approval) return null;
  const labels = t().preview;
  const policies = decision.policies.map(safeText).join(", ");
  return (
    <Alert type="warning" header={labels.willWait}>
      <Name>{t().approval.because(policies)}</Name>
    </Alert>
  );
}

function HopResult({ hop }: { hop: Hop }) {
  return (
    <SpaceBetween size="xs">
      <Box variant="h3">
        <LocationName at={hop.source} /> → <LocationName at={hop.destination} />
      </Box>
      {hop.preview ? <PreviewResult preview={hop.preview} /> : <State of={hop.state} />}
      {hop.problem && (
        <HopProblem problem={hop.problem} type={hop.state === "failed" ? "error" : "warning"} />
      )}
    </SpaceBetween>
  );
}
