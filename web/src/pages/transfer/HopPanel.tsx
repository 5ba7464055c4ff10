import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { PreviewResult } from "../../components/PreviewResult";
import { HopProblem } from "../../components/ProblemAlert";
import { ProgressLine } from "../../components/ProgressLine";
import { SpaceWarning } from "../../components/SpaceWarning";
import { LocationLink, Name, ProblemText, State, When } from "../../components/text";
import { safeText } from "../../format/names";
import { count } from "../../format/sizes";
import { useNow } from "../../hooks/useNow";
import { t } from "../../i18n";
import { type LiveProgressByHop, progressOf } from "../../live/mergeProgress";
import { type AgentState, hopReason } from "../../live/stateReason";
import type { Hop, HopState } from "../../types";

interface Props {
  hop: Hop;
  number: number;
  agents: readonly AgentState[];
  received: LiveProgressByHop;
  /** When the API answered, in milliseconds since 1970. */
  fetchedAt: number;
  /** Whether the transfer is a dry run, which moves no data. */
  dry: boolean;
}

const MOVING_STATES: ReadonlySet<HopState> = new Set(["running", "verifying"]);
/** Problem code of an automatic pause, which ends automatically. */
const FULL = "destination-full";
const NOT_STARTED: ReadonlySet<HopState> = new Set(["awaiting_approval", "waiting", "queued", "offered"]);

export function HopPanel({ hop, number, agents, received, fetchedAt, dry }: Props) {
  const now = useNow();
  // What ended it is said below, with advice.
  const reason = hop.ended_at ? null : hopReason(hop, { agents, received, now, fetchedAt });
  const progress = progressOf(hop, received, now, fetchedAt);
  // Live progress may arrive before the stored state changes.
  const moving = MOVING_STATES.has(hop.state) || progress.bytes_per_second > 0;
  const notStarted = NOT_STARTED.has(hop.state) && progress.bytes_done === 0 && progress.files_done === 0;
  return (
    <Container
      header={
        <Header
          variant="h3"
          description={<HopSummary hop={hop} />}
          actions={<State of={hop.state} reason={reason} />}
        >
          {number + 1}. <LocationLink at={hop.source} /> → <LocationLink at={hop.destination} />
        </Header>
      }
    >
      <SpaceBetween size="s">
        {!notStarted && !dry && (
          <ProgressLine
            progress={progress}
            moving={moving}
            detailed
            label={t().transfer.hopNumber(number + 1)}
          />
        )}
        <HopFindings hop={hop} received={received} fetchedAt={fetchedAt} dry={dry} />
      </SpaceBetween>
    </Container>
  );
}

/** What a person must know of a hop beyond its progress: warnings, a preview, problems, failed files. */
export function HopFindings({ hop, received, fetchedAt, dry }: Omit<Props, "number" | "agents">) {
  const progress = progressOf(hop, received, useNow(), fetchedAt);
  return (
    <>
      {dry && !NOT_STARTED.has(hop.state) && !hop.preview && !hop.problem && (
        <Box color="text-body-secondary">{t().preview.comparing}</Box>
      )}
      {progress.space_shortage && !hop.preview && !hop.ended_at && (
        <SpaceWarning short={progress.space_shortage} />
      )}
      {hop.preview && <PreviewResult preview={hop.preview} />}
      {hop.problem && (
        <HopProblem problem={hop.problem} type={hop.state === "failed" ? "error" : "warning"}>
          {hop.state === "paused" && hop.problem.code === FULL && t().transfer.pausedFull}
        </HopProblem>
      )}
      {hop.failures_total > 0 && <Failures hop={hop} />}
    </>
  );
}

export function HopSummary({ hop }: { hop: Hop }) {
  return (
    <>
      {routeText(hop)}
      {hop.attempt > 1 && ` · ${t().transfer.attempt(hop.attempt)}`}
      {hop.started_at && (
        <>
          {` · ${t().transfer.started} `}
          <When at={hop.started_at} />
        </>
      )}
      {hop.ended_at && (
        <>
          {` · ${t().transfer.endedAt} `}
          <When at={hop.ended_at} />
        </>
      )}
    </>
  );
}

/** Return the route as text, with the connection that was used; old agents describe it in `via`. */
export function routeText({ route, connection: way, via }: Hop): string {
  const known: Record<string, string> = t().transfer.routes;
  const really = way?.kind ?? route;
  const kind = known[really] ?? really;
  const dialed = way?.dialed_by && way.address ? t().transfer.dialed(way.dialed_by, way.address) : via;
  const congestion = way?.congestion_control ? t().transfer.congestion(way.congestion_control) : "";
  const how = [dialed, congestion].filter(Boolean).join(", ");
  return how && how !== really ? `${safeText(kind)} (${safeText(how)})` : safeText(kind);
}

function Failures({ hop }: { hop: Hop }) {
  const more = hop.failures_total - hop.failures.length;
  const title = t().transfer.notArrived(hop.failures_total, count(hop.failures_total));
  return (
    <ExpandableSection headerText={title} variant="footer">
      <ul>
        {hop.failures.map((failure) => (
          <li key={`${failure.path} ${failure.code}`}>
            {failure.path && (
              <>
                <strong>
                  <Name>{failure.path}</Name>
                </strong>
                {": "}
              </>
            )}
            <ProblemText problem={failure} />
          </li>
        ))}
      </ul>
      {more > 0 && <Box color="text-body-secondary">{t().transfer.more(count(more))}</Box>}
    </ExpandableSection>
  );
}
