import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import type { ReactNode } from "react";
import { actor } from "../format/names";
import { useNarrow } from "../hooks/useMedia";
import { t } from "../i18n";
import type { TimelineEntry } from "../types";
import { Explained, ReportedText, When } from "./text";

type Told = Pick<TimelineEntry, "at" | "by" | "what"> & Partial<Pick<TimelineEntry, "problem">>;
type Line = Told & { key: string };

interface TimelineProps {
  /** The latest last. */
  moments: readonly Told[];
  counter?: string;
  actions?: ReactNode;
  loading?: boolean;
  empty?: string;
}

/** What happened and who did it, the latest first. */
export function Timeline({ moments, counter, actions, loading = false, empty }: TimelineProps) {
  const narrow = useNarrow();
  const lines = moments.map((moment, number) => ({ ...moment, key: `${number}` })).reverse();
  return (
    <Table
      header={
        <Header counter={counter} actions={actions}>
          {t().transfer.timeline}
        </Header>
      }
      loading={loading}
      loadingText={t().common.loading(t().audit.thing)}
      items={lines}
      trackBy="key"
      columnDefinitions={narrow ? slim() : wide()}
      wrapLines
      contentDensity="compact"
      ariaLabels={{ tableLabel: t().transfer.timeline }}
      empty={empty ?? t().transfer.nothing}
    />
  );
}

const wide = (): TableProps.ColumnDefinition<Line>[] => [
  { id: "at", header: t().transfers.when, cell: ({ at }) => <When at={at} />, width: 210 },
  { id: "what", header: t().transfer.what, cell: (line) => <What line={line} />, isRowHeader: true },
  {
    id: "by",
    header: t().transfer.by,
    cell: ({ by }) => <bdi className="name">{actor(by)}</bdi>,
    width: 220,
  },
];

const slim = (): TableProps.ColumnDefinition<Line>[] => [
  {
    id: "all",
    header: t().transfer.what,
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
      {t().said.happened(line.what) ?? <ReportedText>{line.what}</ReportedText>}
      {line.problem && (
        <Box color="text-body-secondary" fontSize="body-s">
          <Explained problem={line.problem} />
        </Box>
      )}
    </>
  );
}
