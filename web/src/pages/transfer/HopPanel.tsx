import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useNow } from "../../clock";
import { shown } from "../../format/names";
import { count } from "../../format/sizes";
import { type Heard, progressOf } from "../../live/merge";
import { HopProblem } from "../../parts/ProblemAlert";
import { ProgressLine } from "../../parts/ProgressLine";
import { Name, Place, State, When } from "../../parts/text";
import type { Hop, HopState } from "../../types";

interface Props {
  hop: Hop;
  number: number;
  heard: Heard;
}

const MOVING: ReadonlySet<HopState> = new Set(["running", "verifying"]);
const UNBEGUN: ReadonlySet<HopState> = new Set(["waiting", "queued", "offered"]);

export function HopPanel({ hop, number, heard }: Props) {
  const progress = progressOf(hop, heard, useNow());
  // The broker may say that it moves before the table does.
  const moving = MOVING.has(hop.state) || progress !== hop.progress;
  const bare = UNBEGUN.has(hop.state) && progress.bytes_done === 0 && progress.files_done === 0;
  return (
    <Container
      header={
        <Header variant="h3" description={<Travel hop={hop} />} actions={<State of={hop.state} />}>
          {number}: <Place at={hop.source} /> → <Place at={hop.destination} />
        </Header>
      }
    >
      <SpaceBetween size="s">
        {bare ? (
          <Box color="text-body-secondary">{waitsFor(hop)}</Box>
        ) : (
          <ProgressLine progress={progress} moving={moving} detailed label={`Hop ${number}`} />
        )}
        {hop.problem && (
          <HopProblem problem={hop.problem} type={hop.state === "failed" ? "error" : "warning"} />
        )}
        {hop.failures_total > 0 && <Failures hop={hop} />}
      </SpaceBetween>
    </Container>
  );
}

function Travel({ hop }: { hop: Hop }) {
  return (
    <>
      {shown(hop.via ?? hop.route)}
      {hop.attempt > 1 && ` · attempt ${hop.attempt}`}
      {hop.started_at && (
        <>
          {" · started "}
          <When at={hop.started_at} />
        </>
      )}
      {hop.ended_at && (
        <>
          {" · ended "}
          <When at={hop.ended_at} />
        </>
      )}
      {hop.retry_at && hop.state === "queued" && (
        <>
          {" · next try "}
          <When at={hop.retry_at} relative />
        </>
      )}
    </>
  );
}

function waitsFor(hop: Hop): string {
  if (hop.state === "waiting") return "Begins when the hop before it has succeeded.";
  if (hop.state === "offered") return "The agents have been told; the first report is due any moment.";
  if (hop.retry_at) return "Waits for its next try.";
  return `Begins when ${hop.agents.join(" and ")} ${hop.agents.length > 1 ? "are" : "is"} online.`;
}

function Failures({ hop }: { hop: Hop }) {
  const more = hop.failures_total - hop.failures.length;
  const words =
    hop.failures_total === 1 ? "1 file did not arrive" : `${count(hop.failures_total)} files did not arrive`;
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
            <Name>{failure.message}</Name> {failure.advice && <Name>{failure.advice}</Name>}
          </li>
        ))}
      </ul>
      {more > 0 && <Box color="text-body-secondary">and {count(more)} more</Box>}
    </ExpandableSection>
  );
}
