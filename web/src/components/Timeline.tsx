import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import type { ReactNode } from "react";
import { actorName } from "../format/names";
import { useNarrow } from "../hooks/useMedia";
import { t } from "../i18n";
import type { TimelineEntry } from "../types";
import { Name, ProblemText, ReportedText, When } from "./text";

type Entry = Pick<TimelineEntry, "at" | "by" | "what"> & Partial<Pick<TimelineEntry, "problem" | "times">>;
type Row = Entry & { key: string };

interface TimelineProps {
  /** Entries, oldest first. */
  entries: readonly Entry[];
  counter?: string;
  actions?: ReactNode;
  loading?: boolean;
  empty?: string;
  footer?: ReactNode;
}

/** Table of what happened and who did it, newest first. */
export function Timeline({
  entries: moments,
  counter,
  actions,
  loading = false,
  empty,
  footer,
}: TimelineProps) {
  const narrow = useNarrow();
  const rows = moments.map((moment, number) => ({ ...moment, key: `${number}` })).reverse();
  return (
    <Table
      header={
        <Header counter={counter} actions={actions}>
          {t().transfer.timeline}
        </Header>
      }
      loading={loading}
      loadingText={t().common.loading(t().audit.thing)}
      items={rows}
      trackBy="key"
      columnDefinitions={narrow ? slim() : wide()}
      wrapLines
      contentDensity="compact"
      ariaLabels={{ tableLabel: t().transfer.timeline }}
      empty={empty ?? t().transfer.nothing}
      footer={footer}
    />
  );
}

const wide = (): TableProps.ColumnDefinition<Row>[] => [
  { id: "at", header: t().transfers.when, cell: ({ at }) => <When at={at} />, width: 210 },
  { id: "what", header: t().transfer.what, cell: (line) => <EntryText line={line} />, isRowHeader: true },
  {
    id: "by",
    header: t().transfer.by,
    cell: ({ by }) => <Name>{actorName(by)}</Name>,
    width: 220,
  },
];

const slim = (): TableProps.ColumnDefinition<Row>[] => [
  {
    id: "all",
    header: t().transfer.what,
    cell: (line) => (
      <SpaceBetween size="xxxs">
        <EntryText line={line} />
        <Box color="text-body-secondary" fontSize="body-s">
          <When at={line.at} /> · <Name>{actorName(line.by)}</Name>
        </Box>
      </SpaceBetween>
    ),
  },
];

function EntryText({ line }: { line: Row }) {
  return (
    <>
      {t().reported.event(line.what) ?? <ReportedText lang="en">{line.what}</ReportedText>}
      {(line.times ?? 1) > 1 && ` ${t().transfer.times(line.times ?? 1)}`}
      {line.problem && (
        <Box color="text-body-secondary" fontSize="body-s">
          <ProblemText problem={line.problem} />
        </Box>
      )}
    </>
  );
}
