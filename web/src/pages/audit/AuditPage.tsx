import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useApi } from "../../appContext";
import { download } from "../../components/download";
import { ProblemAlert } from "../../components/ProblemAlert";
import { Name, ReportedText, When } from "../../components/text";
import { actorName } from "../../format/names";
import { count } from "../../format/sizes";
import { AUDIT_BY, AUDIT_DAYS, type AuditFilter, fetchAllRecords, useAudit } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import type { AuditRecord } from "../../types";
import { Decision } from "./Decision";
import { RecordDetail } from "./Detail";
import { csv, jsonLines } from "./export";
import { AuditFilters } from "./Filters";
import { Seals } from "./Seals";
import { MATCHES_PER_STEP, matching, RECORDS_PER_STEP } from "./search";

export default function AuditPage({ query }: { query: URLSearchParams }) {
  const filter = readFilter(query);
  return <List key={JSON.stringify(filter)} filter={filter} />;
}

function readFilter(query: URLSearchParams): AuditFilter {
  const days = AUDIT_DAYS.find((one) => String(one) === query.get("days"));
  return {
    by: AUDIT_BY.find((one) => one === query.get("by")) ?? "person",
    value: query.get("value") ?? "",
    days: days ?? 30,
  };
}

function List({ filter }: { filter: AuditFilter }) {
  const labels = t().audit;
  const query = useAudit(filter);
  const [open, setOpen] = useState<AuditRecord | null>(null);
  const narrow = useNarrow();
  const records = query.data?.pages.flatMap((page) => page.records) ?? [];
  const found = matching(records, filter);
  const { searching, loadMore } = useTextSearch(query, filter, found.length, records.length);
  const more = query.hasNextPage && (
    <SpaceBetween direction="horizontal" size="s" alignItems="center">
      <Button loading={query.isFetchingNextPage} onClick={loadMore}>
        {labels.more}
      </Button>
      {filter.by === "text" && <Box>{labels.searched(count(records.length))}</Box>}
    </SpaceBetween>
  );
  return (
    <SpaceBetween size="l">
      {query.isError && <ProblemAlert error={query.error} onRetry={() => query.refetch()} />}
      <Table
        header={
          <Header variant="h1" description={labels.hint} actions={<Export filter={filter} />}>
            {labels.title}
          </Header>
        }
        filter={<AuditFilters filter={filter} />}
        items={found}
        trackBy="record_id"
        loading={query.isPending || (searching && found.length === 0)}
        loadingText={
          records.length ? labels.searched(count(records.length)) : t().common.loading(labels.thing)
        }
        empty={query.isError ? t().common.notLoaded : labels.none}
        columnDefinitions={narrow ? stacked(setOpen) : columns(setOpen)}
        footer={more}
        wrapLines
        contentDensity="compact"
        ariaLabels={{ tableLabel: labels.title }}
      />
      <Seals />
      {open && <RecordDetail record={open} onClose={() => setOpen(null)} />}
    </SpaceBetween>
  );
}

/**
 * Fetch further pages automatically during a text search until there are enough matches; then on
 * `further()`.
 */
function useTextSearch(
  query: ReturnType<typeof useAudit>,
  { by }: AuditFilter,
  found: number,
  read: number,
): { searching: boolean; loadMore(): void } {
  const [until, setUntil] = useState({ found: MATCHES_PER_STEP, read: RECORDS_PER_STEP });
  const { hasNextPage, isFetching, isError, fetchNextPage } = query;
  const goes = by === "text" && hasNextPage && !isError && found < until.found && read < until.read;
  useEffect(() => {
    if (goes && !isFetching) void fetchNextPage();
  }, [goes, isFetching, fetchNextPage]);
  function further(): void {
    setUntil({ found: found + MATCHES_PER_STEP, read: read + RECORDS_PER_STEP });
    if (by !== "text" || isError) void fetchNextPage();
  }
  return { searching: goes, loadMore: further };
}

type OnOpen = (record: AuditRecord) => void;

const stacked = (onOpen: OnOpen): TableProps.ColumnDefinition<AuditRecord>[] => [
  {
    id: "all",
    header: t().transfer.what,
    isRowHeader: true,
    cell: (record) => (
      <SpaceBetween size="xxxs">
        <Button variant="inline-link" onClick={() => onOpen(record)}>
          {record.action}
        </Button>
        <ReportedText lang="en">{record.about}</ReportedText>
        {record.why && <Name>{record.why}</Name>}
        <Decision of={record} />
        <Box color="text-body-secondary" fontSize="body-s">
          <When at={record.at} /> · <Name>{actorName(record.who)}</Name>
        </Box>
      </SpaceBetween>
    ),
  },
];

const columns = (onOpen: OnOpen): TableProps.ColumnDefinition<AuditRecord>[] => [
  { id: "at", header: t().transfers.when, cell: ({ at }) => <When at={at} />, minWidth: 195 },
  {
    id: "who",
    header: t().audit.kinds.person,
    minWidth: 170,
    cell: ({ who }) => <Name>{actorName(who)}</Name>,
  },
  {
    id: "what",
    header: t().transfer.what,
    minWidth: 185,
    isRowHeader: true,
    cell: (record) => (
      <Button variant="inline-link" onClick={() => onOpen(record)}>
        {record.action}
      </Button>
    ),
  },
  {
    id: "about",
    header: t().audit.about,
    minWidth: 190,
    cell: ({ about }) => <ReportedText lang="en">{about}</ReportedText>,
  },
  {
    id: "decision",
    header: t().audit.decision,
    minWidth: 130,
    cell: (record) => <Decision of={record} />,
  },
  { id: "why", header: t().policy.why, minWidth: 140, cell: ({ why }) => <Name>{why}</Name> },
];

/** Export all records that match the filter as a file. */
function Export({ filter }: { filter: AuditFilter }) {
  const api = useApi();
  const labels = t().audit;
  const exporting = useMutation({
    mutationFn: async (form: string) => {
      const records = matching(await fetchAllRecords(api, filter), filter);
      if (form === "csv") download("audit.csv", "text/csv", csv(records));
      else download("audit.jsonl", "application/jsonl", jsonLines(records));
    },
  });
  return (
    <SpaceBetween size="xs">
      <ButtonDropdown
        loading={exporting.isPending}
        items={[
          { id: "csv", text: labels.csv },
          { id: "jsonl", text: labels.jsonl },
        ]}
        onItemClick={({ detail }) => exporting.mutate(detail.id)}
      >
        {labels.export}
      </ButtonDropdown>
      {exporting.error && <ProblemAlert error={exporting.error} />}
    </SpaceBetween>
  );
}
