import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { PreviewResult } from "../../components/PreviewResult";
import { HopProblem } from "../../components/ProblemAlert";
import { ProgressLine } from "../../components/ProgressLine";
import { SpaceWarning } from "../../components/SpaceWarning";
import { Explained, Name, Place, State, When } from "../../components/text";
import { shown } from "../../format/names";
import { count } from "../../format/sizes";
import { useNow } from "../../hooks/useNow";
import { t } from "../../i18n";
import { type LiveProgressByHop, progressOf, secondsSinceReport } from "../../live/mergeProgress";
import type { Hop, HopState } from "../../types";
import { OfflineAgents } from "./OfflineAgents";

interface Props {
  hop: Hop;
  number: number;
  heard: LiveProgressByHop;
  /** When the API said what is stored. */
  asked: number;
  /** A preview: what it looks at does not move. */
  dry: boolean;
}

const MOVING: ReadonlySet<HopState> = new Set(["running", "verifying"]);
/** Nothing but its agents is needed for it to go on. */
const GOES_ON: ReadonlySet<HopState> = new Set(["queued", "offered", "running", "verifying"]);
/** The agent has paused by itself, and goes on by itself. */
const FULL = "destination-full";
const UNBEGUN: ReadonlySet<HopState> = new Set(["awaiting_approval", "waiting", "queued", "offered"]);

export function HopPanel({ hop, number, heard, asked, dry }: Props) {
  const now = useNow();
  const progress = progressOf(hop, heard, now, asked);
  // The broker may say that it moves before the table does.
  const moving = MOVING.has(hop.state) || progress.bytes_per_second > 0;
  const bare = UNBEGUN.has(hop.state) && progress.bytes_done === 0 && progress.files_done === 0;
  return (
    <Container
      header={
        <Header variant="h3" description={<Travel hop={hop} />} actions={<State of={hop.state} />}>
          {number + 1}. <Place at={hop.source} /> → <Place at={hop.destination} />
        </Header>
      }
    >
      <SpaceBetween size="s">
        {bare ? (
          <Box color="text-body-secondary">{waitsFor(hop)}</Box>
        ) : (
          !dry && (
            <ProgressLine
              progress={progress}
              moving={moving}
              quiet={secondsSinceReport(hop, heard, now, asked)}
              detailed
              label={t().transfer.hopNumber(number + 1)}
            />
          )
        )}
        {!bare && GOES_ON.has(hop.state) && <OfflineAgents names={hop.agents} />}
        {dry && !bare && !hop.preview && !hop.problem && (
          <Box color="text-body-secondary">{t().preview.goesOn}</Box>
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
      </SpaceBetween>
    </Container>
  );
}

function Travel({ hop }: { hop: Hop }) {
  return (
    <>
      {routeWords(hop)}
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
      {hop.retry_at && hop.state === "queued" && (
        <>
          {` · ${t().transfer.nextTry} `}
          <When at={hop.retry_at} relative />
        </>
      )}
    </>
  );
}

/** The kind of route in words, and how exactly its bytes went: an old agent says that in its own. */
function routeWords({ route, connection: way, via }: Hop): string {
  const known: Record<string, string> = t().transfer.routes;
  const really = way?.kind ?? route;
  const kind = known[really] ?? really;
  const how = way?.dialled_by && way.address ? t().transfer.dialled(way.dialled_by, way.address) : via;
  return how && how !== really ? `${shown(kind)} (${shown(how)})` : shown(kind);
}

function waitsFor(hop: Hop): string {
  if (hop.state === "awaiting_approval") return t().transfer.waitsApproval;
  if (hop.state === "waiting") return t().transfer.waits;
  if (hop.state === "offered") return t().transfer.told;
  if (hop.retry_at) return t().transfer.waitsRetry;
  return t().transfer.waitsOnline(hop.agents.join(t().common.and), hop.agents.length > 1);
}

function Failures({ hop }: { hop: Hop }) {
  const more = hop.failures_total - hop.failures.length;
  const words = t().transfer.notArrived(hop.failures_total, count(hop.failures_total));
  return (
    <ExpandableSection headerText={words} variant="footer">
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
            <Explained problem={failure} />
          </li>
        ))}
      </ul>
      {more > 0 && <Box color="text-body-secondary">{t().transfer.more(count(more))}</Box>}
    </ExpandableSection>
  );
}
