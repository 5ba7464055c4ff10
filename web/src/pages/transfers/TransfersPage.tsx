import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import Pagination from "@cloudscape-design/components/pagination";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { useAppContext } from "../../appContext";
import { LiveIndicator } from "../../components/LiveIndicator";
import { ProblemAlert } from "../../components/ProblemAlert";
import { transferColumns } from "../../components/transferColumns";
import { stateDisplay, TRANSFER_STATES } from "../../format/states";
import { type Filters, useAgents, useTransfers } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { LiveProgressProvider, useLiveProgress } from "../../live/LiveProgressProvider";
import { go, href, hrefWith } from "../../router";
import { mayAct } from "../../session/claims";
import type { Attention, TransferState } from "../../types";

const ATTENTION: Attention[] = ["awaiting_approval", "paused", "failed", "partially_failed"];
const ATTENTION_PREFIX = "attention:";

export default function TransfersPage({ query }: { query: URLSearchParams }) {
  const filters = readFilters(query);
  // New filters start at the first page.
  return <List key={JSON.stringify(filters)} filters={filters} />;
}

function readFilters(query: URLSearchParams): Filters {
  const status = query.get("status");
  const attention = query.get("attention");
  const dryRun = query.get("dry_run");
  return {
    status: TRANSFER_STATES.find((one) => one === status) ?? null,
    attention: ATTENTION.find((one) => one === attention) ?? null,
    agent: query.get("agent") || null,
    dryRun: dryRun === "true" || dryRun === "false" ? dryRun === "true" : null,
  };
}

function List({ filters }: { filters: Filters }) {
  const [starts, setStarts] = useState<(string | null)[]>([null]);
  const [page, setPage] = useState(1);
  const query = useTransfers(filters, starts[page - 1] ?? null);
  const narrow = useNarrow();
  const next = query.data?.next ?? null;
  const moving = query.data?.transfers.some(({ state }) => state === "running") ?? false;

  function addNextPage(): void {
    if (next) setStarts((before) => [...before.slice(0, page), next]);
  }

  return (
    <SpaceBetween size="m">
      {query.isError && <ProblemAlert error={query.error} onRetry={() => query.refetch()} />}
      <LiveProgressProvider active={moving} fetchedAt={query.dataUpdatedAt}>
        <Table
          variant="full-page"
          stickyHeader
          header={<ListHeader refreshing={query.isFetching} onRefresh={() => query.refetch()} />}
          filter={<FilterRow filters={filters} />}
          items={query.data?.transfers ?? []}
          trackBy="transfer_id"
          loading={query.isPending}
          loadingText={t().common.loading(t().transfers.thing)}
          empty={
            query.isError ? (
              t().common.notLoaded
            ) : (
              <Empty filtered={Object.values(filters).some((one) => one !== null)} />
            )
          }
          columnDefinitions={transferColumns(narrow)}
          wrapLines
          enableKeyboardNavigation
          ariaLabels={{ tableLabel: t().transfers.title }}
          pagination={
            <Pagination
              currentPageIndex={page}
              pagesCount={Math.max(starts.length, next ? page + 1 : page)}
              openEnd={Boolean(next)}
              onNextPageClick={addNextPage}
              onChange={({ detail }) => {
                if (detail.currentPageIndex > starts.length) addNextPage();
                setPage(detail.currentPageIndex);
              }}
            />
          }
        />
      </LiveProgressProvider>
    </SpaceBetween>
  );
}

function ListHeader({ refreshing, onRefresh }: { refreshing: boolean; onRefresh(): void }) {
  const { role } = useAppContext();
  const { connected } = useLiveProgress();
  return (
    <Header
      variant="awsui-h1-sticky"
      actions={
        <SpaceBetween direction="horizontal" size="xs" alignItems="center">
          {connected !== null && <LiveIndicator live={connected} />}
          <Button
            iconName="refresh"
            ariaLabel={t().common.refresh}
            onClick={onRefresh}
            disabled={refreshing}
          />
          {mayAct(role, "operator") && (
            <Button variant="primary" href={href("transfers", "new")}>
              {t().transfers.new}
            </Button>
          )}
        </SpaceBetween>
      }
    >
      {t().transfers.title}
    </Header>
  );
}

function FilterRow({ filters }: { filters: Filters }) {
  const agents = useAgents();
  const ALL = { label: t().transfers.everyState, value: "" };
  const EVERYONE = { label: t().transfers.everyAgent, value: "" };
  const states = TRANSFER_STATES.map((value) => ({ value, label: stateDisplay(value).label }));
  const attention = ATTENTION.map((value) => ({
    value: `${ATTENTION_PREFIX}${value}`,
    label: `${t().overview.attention}: ${stateDisplay(value).label}`,
  }));
  const chosen = filters.attention ? `${ATTENTION_PREFIX}${filters.attention}` : (filters.status ?? "");
  const names = [
    EVERYONE,
    ...(agents.data ?? []).map(({ agent_id }) => ({ value: agent_id, label: agent_id })),
  ];
  const agentNow = filters.agent ? { value: filters.agent, label: filters.agent } : EVERYONE;
  return (
    <SpaceBetween direction="horizontal" size="xs">
      <Select
        ariaLabel={t().transfers.state}
        options={[ALL, ...states, ...attention]}
        selectedOption={[...states, ...attention].find((one) => one.value === chosen) ?? ALL}
        onChange={({ detail }) => show({ ...filters, ...readState(detail.selectedOption.value ?? "") })}
      />
      <Select
        ariaLabel={t().transfers.agent}
        options={names}
        filteringType={names.length > 10 ? "auto" : "none"}
        selectedOption={agentNow}
        onChange={({ detail }) => show({ ...filters, agent: detail.selectedOption.value || null })}
      />
      <KindFilter filters={filters} />
    </SpaceBetween>
  );
}

function KindFilter({ filters }: { filters: Filters }) {
  const labels = t().transfers;
  const kinds = [
    { label: labels.everyKind, value: "" },
    { label: labels.realOnly, value: "false" },
    { label: labels.previewsOnly, value: "true" },
  ];
  return (
    <Select
      ariaLabel={labels.kind}
      options={kinds}
      selectedOption={kinds.find((one) => one.value === String(filters.dryRun ?? "")) ?? null}
      onChange={({ detail }) => {
        const { value } = detail.selectedOption;
        show({ ...filters, dryRun: value ? value === "true" : null });
      }}
    />
  );
}

/** Return the filters that an option of the state selects. */
function readState(value: string): Pick<Filters, "status" | "attention"> {
  return value.startsWith(ATTENTION_PREFIX)
    ? { status: null, attention: value.slice(ATTENTION_PREFIX.length) as Attention }
    : { status: (value as TransferState) || null, attention: null };
}

function show({ status, attention, agent, dryRun }: Filters): void {
  go(hrefWith("transfers", { status, attention, agent, dry_run: dryRun === null ? null : String(dryRun) }));
}

function Empty({ filtered }: { filtered: boolean }) {
  const { role } = useAppContext();
  if (filtered) {
    return (
      <Box textAlign="center" padding="l">
        <Box variant="strong">{t().transfers.noMatch}</Box>
        <Box padding={{ top: "s" }}>
          <Button href={href("transfers")}>{t().transfers.clear}</Button>
        </Box>
      </Box>
    );
  }
  return (
    <Box textAlign="center" padding="l">
      <Box variant="strong">{t().transfers.none}</Box>
      <Box variant="p" color="text-body-secondary">
        {t().transfers.noneHint}
      </Box>
      {mayAct(role, "operator") && <Button href={href("transfers", "new")}>{t().transfers.new}</Button>}
    </Box>
  );
}
