import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Pagination from "@cloudscape-design/components/pagination";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { useState } from "react";
import { type Filters, useAgents, useTransfers } from "../api/queries";
import { useSurroundings } from "../context";
import { STATES, TRANSFER_STATES } from "../format/states";
import { useNarrow } from "../media";
import { ProblemAlert } from "../parts/ProblemAlert";
import { ProgressLine } from "../parts/ProgressLine";
import { Name, Place, State, When } from "../parts/text";
import { go, href, hrefWith } from "../router";
import { mayAct } from "../session/claims";
import type { TransferState, TransferSummary } from "../types";

const ALL = { label: "Every state", value: "" };
const EVERYONE = { label: "Every agent", value: "" };

export default function TransfersPage({ query }: { query: URLSearchParams }) {
  const filters = readFilters(query);
  // New filters begin at the first page again.
  return <List key={JSON.stringify(filters)} filters={filters} />;
}

function readFilters(query: URLSearchParams): Filters {
  const status = query.get("status");
  return { status: TRANSFER_STATES.find((one) => one === status) ?? null, agent: query.get("agent") || null };
}

function List({ filters }: { filters: Filters }) {
  const [starts, setStarts] = useState<(string | null)[]>([null]);
  const [page, setPage] = useState(1);
  const asked = useTransfers(filters, starts[page - 1] ?? null);
  const narrow = useNarrow();
  const next = asked.data?.next ?? null;

  function onward(): void {
    if (next) setStarts((before) => [...before.slice(0, page), next]);
  }

  return (
    <SpaceBetween size="m">
      {asked.isError && <ProblemAlert error={asked.error} onRetry={() => asked.refetch()} />}
      <Table
        variant="full-page"
        stickyHeader
        header={<ListHeader refreshing={asked.isFetching} onRefresh={() => asked.refetch()} />}
        filter={<FilterRow filters={filters} />}
        items={asked.data?.transfers ?? []}
        trackBy="transfer_id"
        loading={asked.isPending}
        loadingText="Loading transfers"
        empty={asked.isError ? "Not loaded" : <Empty filtered={Boolean(filters.status || filters.agent)} />}
        columnDefinitions={narrow ? NARROW : WIDE}
        wrapLines
        enableKeyboardNavigation
        ariaLabels={{ tableLabel: "Transfers" }}
        pagination={
          <Pagination
            currentPageIndex={page}
            pagesCount={Math.max(starts.length, next ? page + 1 : page)}
            openEnd={Boolean(next)}
            onNextPageClick={onward}
            onChange={({ detail }) => {
              if (detail.currentPageIndex > starts.length) onward();
              setPage(detail.currentPageIndex);
            }}
          />
        }
      />
    </SpaceBetween>
  );
}

function ListHeader({ refreshing, onRefresh }: { refreshing: boolean; onRefresh(): void }) {
  const { role } = useSurroundings();
  return (
    <Header
      variant="awsui-h1-sticky"
      actions={
        <SpaceBetween direction="horizontal" size="xs">
          <Button iconName="refresh" ariaLabel="Refresh" onClick={onRefresh} disabled={refreshing} />
          {mayAct(role, "operator") && (
            <Button variant="primary" href={href("transfers", "new")}>
              New transfer
            </Button>
          )}
        </SpaceBetween>
      }
    >
      Transfers
    </Header>
  );
}

function FilterRow({ filters }: { filters: Filters }) {
  const agents = useAgents();
  const states = [ALL, ...TRANSFER_STATES.map((value) => ({ value, label: STATES[value].label }))];
  const names = [
    EVERYONE,
    ...(agents.data ?? []).map(({ agent_id }) => ({ value: agent_id, label: agent_id })),
  ];
  const agentNow = filters.agent ? { value: filters.agent, label: filters.agent } : EVERYONE;
  return (
    <SpaceBetween direction="horizontal" size="xs">
      <Select
        ariaLabel="State"
        options={states}
        selectedOption={states.find((one) => one.value === (filters.status ?? "")) ?? ALL}
        onChange={({ detail }) =>
          show({ ...filters, status: (detail.selectedOption.value as TransferState) || null })
        }
      />
      <Select
        ariaLabel="Agent"
        options={names}
        filteringType={names.length > 10 ? "auto" : "none"}
        selectedOption={agentNow}
        onChange={({ detail }) => show({ ...filters, agent: detail.selectedOption.value || null })}
      />
    </SpaceBetween>
  );
}

function show(filters: Filters): void {
  go(hrefWith("transfers", { status: filters.status, agent: filters.agent }));
}

function Empty({ filtered }: { filtered: boolean }) {
  const { role } = useSurroundings();
  if (filtered) {
    return (
      <Box textAlign="center" padding="l">
        <Box variant="strong">No transfer matches</Box>
        <Box padding={{ top: "s" }}>
          <Button href={href("transfers")}>Clear the filters</Button>
        </Box>
      </Box>
    );
  }
  return (
    <Box textAlign="center" padding="l">
      <Box variant="strong">No transfers yet</Box>
      <Box variant="p" color="text-body-secondary">
        A transfer moves files from one server to others, or between servers and S3. A template makes one by
        itself whenever a file arrives in a bucket.
      </Box>
      {mayAct(role, "operator") && <Button href={href("transfers", "new")}>New transfer</Button>}
    </Box>
  );
}

type Column = TableProps.ColumnDefinition<TransferSummary>;

const STATE: Column = {
  id: "state",
  header: "State",
  minWidth: 165,
  cell: ({ state }) => <State of={state} />,
};

const ROUTE: Column = {
  id: "route",
  header: "Source → destination",
  isRowHeader: true,
  minWidth: 260,
  cell: (transfer) => (
    <Link href={href("transfers", transfer.transfer_id)}>
      <Place at={transfer.source} /> <span aria-hidden="true">→</span>
      <span className="visually-hidden">to</span> <Destinations transfer={transfer} />
    </Link>
  ),
};

const PROGRESS: Column = {
  id: "progress",
  header: "Progress",
  minWidth: 220,
  cell: ({ progress, state }) => <ProgressLine progress={progress} moving={state === "running"} />,
};

const BY: Column = {
  id: "by",
  header: "Asked by",
  minWidth: 190,
  cell: ({ created_by, template_id }) => <Name>{template_id ? `template ${template_id}` : created_by}</Name>,
};

const AT: Column = {
  id: "at",
  header: "When",
  minWidth: 130,
  cell: ({ created_at }) => <When at={created_at} relative />,
};

const WIDE = [STATE, ROUTE, PROGRESS, BY, AT];

const NARROW: Column[] = [
  {
    id: "all",
    header: "Transfer",
    isRowHeader: true,
    cell: (transfer) => (
      <SpaceBetween size="xxs">
        <State of={transfer.state} />
        {ROUTE.cell(transfer)}
        <ProgressLine progress={transfer.progress} moving={transfer.state === "running"} />
        <Box color="text-body-secondary" fontSize="body-s">
          {AT.cell(transfer)} · {BY.cell(transfer)}
        </Box>
      </SpaceBetween>
    ),
  },
];

function Destinations({ transfer }: { transfer: TransferSummary }) {
  const [first, ...others] = transfer.destinations;
  if (!first) return null;
  return (
    <>
      <Place at={first} />
      {others.length > 0 && ` and ${others.length} more`}
    </>
  );
}
