import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { actor } from "../../format/names";
import { useNarrow } from "../../media";
import { Name, When } from "../../parts/text";
import type { Moment } from "../../types";

type Line = Moment & { key: string };

/** What happened and who did it, the latest first. */
export function Timeline({ moments }: { moments: readonly Moment[] }) {
  const narrow = useNarrow();
  const lines = moments.map((moment, number) => ({ ...moment, key: `${number}` })).reverse();
  return (
    <Table
      header={<Header counter={`(${lines.length})`}>Timeline</Header>}
      items={lines}
      trackBy="key"
      columnDefinitions={narrow ? NARROW : WIDE}
      wrapLines
      contentDensity="compact"
      ariaLabels={{ tableLabel: "Timeline" }}
      empty="Nothing has happened yet."
    />
  );
}

const WIDE: TableProps.ColumnDefinition<Line>[] = [
  { id: "at", header: "When", cell: ({ at }) => <When at={at} />, width: 210 },
  { id: "what", header: "What", cell: (line) => <What line={line} />, isRowHeader: true },
  { id: "by", header: "By", cell: ({ by }) => <bdi className="name">{actor(by)}</bdi>, width: 220 },
];

const NARROW: TableProps.ColumnDefinition<Line>[] = [
  {
    id: "all",
    header: "What",
    cell: (line) => (
      <SpaceBetween size="xxxs">
        <What line={line} />
        <Box color="text-body-secondary" fontSize="body-s">
          <When at={line.at} /> · <bdi className="name">{actor(line.by)}</bdi>
        </Box>
      </SpaceBetween>
    ),
  },
];

function What({ line }: { line: Line }) {
  return (
    <>
      <Name>{line.what}</Name>
      {line.problem && (
        <Box color="text-body-secondary" fontSize="body-s">
          <Name>{`${line.problem.message} ${line.problem.advice}`.trim()}</Name>
        </Box>
      )}
    </>
  );
}
