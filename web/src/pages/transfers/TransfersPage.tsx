import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import CollectionPreferences from "@cloudscape-design/components/collection-preferences";
import Header from "@cloudscape-design/components/header";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { useAppContext } from "../../appContext";
import { LiveIndicator } from "../../components/LiveIndicator";
import { ProblemAlert } from "../../components/ProblemAlert";
import { COLUMNS, transferColumns } from "../../components/transferColumns";
import { count } from "../../format/sizes";
import { useTransferCount, useTransfers } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { LiveProgressProvider, useLiveProgress } from "../../live/LiveProgressProvider";
import { type Filters, filterAddress, isFiltered, readFilters } from "../../model/transferFilters";
import { go, href, hrefWith } from "../../router";
import { mayAct } from "../../session/claims";
import type { TransferCount, TransferSummary } from "../../types";
import { BulkActions } from "./BulkActions";
import { FilterBar } from "./FilterBar";
import { PAGE_SIZES, type Preferences, usePreferences } from "./preferences";

export default function TransfersPage({ query }: { query: URLSearchParams }) {
  const filters = readFilters(query);
  const [preferences, setPreferences] = usePreferences();
  return (
    <List
      // Other criteria begin with the first page, and another page size, too.
      key={JSON.stringify([filters, preferences.pageSize])}
      filters={filters}
      start={query.get("after")}
      page={Math.max(1, Math.floor(Number(query.get("page"))) || 1)}
      preferences={preferences}
      onPreferences={setPreferences}
    />
  );
}

interface Props {
  filters: Filters;
  /** Where the page of the address begins; null for the first. */
  start: string | null;
  page: number;
  preferences: Preferences;
  onPreferences: ReturnType<typeof usePreferences>[1];
}

function List({ filters, start, page, preferences, onPreferences }: Props) {
  const after = page > 1 ? start : null;
  const [selected, setSelected] = useState<readonly TransferSummary[]>([]);
  const [starts, setStarts] = useState<Readonly<Record<number, string>>>({});
  const query = useTransfers(filters, after, preferences.pageSize);
  const total = useTransferCount(filters);
  const narrow = useNarrow();
  const { role } = useAppContext();
  const next = query.data?.next ?? null;
  const items = query.data?.transfers ?? [];
  const chosen = items.filter((one) => selected.some((other) => other.transfer_id === one.transfer_id));
  const labels = t().transfers;

  /** Show a page whose beginning is known, else the first. */
  function showPage(wanted: number): void {
    const known = { ...starts, ...(after && { [page]: after }), ...(next && { [page + 1]: next }) };
    setStarts(known);
    setSelected([]);
    const begin = known[wanted];
    const place = { page: begin ? String(wanted) : null, after: begin ?? null };
    go(hrefWith("transfers", { ...filterAddress(filters), ...place }));
  }

  return (
    <SpaceBetween size="m">
      {query.isError && <ProblemAlert error={query.error} onRetry={() => query.refetch()} />}
      <LiveProgressProvider
        watched={items.filter(({ state }) => state === "running").map(({ transfer_id }) => transfer_id)}
        fetchedAt={query.dataUpdatedAt}
      >
        <Table
          variant="full-page"
          stickyHeader
          header={
            <ListHeader
              refreshing={query.isFetching}
              onRefresh={() => query.refetch()}
              total={total.data}
              selected={chosen}
            />
          }
          filter={<FilterBar filters={filters} onChange={show} />}
          items={items}
          trackBy="transfer_id"
          loading={query.isPending}
          loadingText={t().common.loading(labels.thing)}
          selectionType={mayAct(role, "operator") ? "multi" : undefined}
          selectedItems={chosen}
          onSelectionChange={({ detail }) => setSelected(detail.selectedItems)}
          empty={
            query.isError ? (
              t().common.notLoaded
            ) : (
              <Empty
                filtered={isFiltered(filters)}
                onContinue={next ? () => showPage(page + 1) : undefined}
              />
            )
          }
          columnDefinitions={transferColumns(narrow, preferences.columns)}
          sortingColumn={{ sortingField: "created_at" }}
          sortingDescending={filters.sort === null}
          onSortingChange={({ detail }) => show({ ...filters, sort: detail.isDescending ? null : "oldest" })}
          contentDensity={preferences.density}
          wrapLines
          enableKeyboardNavigation
          ariaLabels={{
            tableLabel: labels.title,
            allItemsSelectionLabel: () => labels.selectAll,
            itemSelectionLabel: (_, { transfer_id }) => labels.select(transfer_id),
          }}
          preferences={<ViewPreferences preferences={preferences} onChange={onPreferences} />}
          pagination={
            <Pagination
              currentPageIndex={page}
              pagesCount={next ? page + 1 : page}
              openEnd={Boolean(next)}
              onChange={({ detail }) => showPage(detail.currentPageIndex)}
            />
          }
        />
      </LiveProgressProvider>
    </SpaceBetween>
  );
}

function show(filters: Filters): void {
  go(hrefWith("transfers", filterAddress(filters)));
}

interface HeaderProps {
  refreshing: boolean;
  onRefresh(): void;
  total: TransferCount | undefined;
  selected: readonly TransferSummary[];
}

function ListHeader({ refreshing, onRefresh, total, selected }: HeaderProps) {
  const { role } = useAppContext();
  const { connected } = useLiveProgress();
  const operates = mayAct(role, "operator");
  return (
    <Header
      variant="awsui-h1-sticky"
      counter={total && `(${count(total.count)}${total.complete ? "" : "+"})`}
      actions={
        <SpaceBetween direction="horizontal" size="xs" alignItems="center">
          {connected !== null && <LiveIndicator live={connected} />}
          <Button
            iconName="refresh"
            ariaLabel={t().common.refresh}
            onClick={onRefresh}
            disabled={refreshing}
          />
          {operates && <BulkActions selected={selected} />}
          {operates && (
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

interface ViewProps {
  preferences: Preferences;
  onChange: Props["onPreferences"];
}

function ViewPreferences({ preferences, onChange }: ViewProps) {
  const labels = t().transfers.view;
  const known = transferColumns(false, COLUMNS);
  return (
    <CollectionPreferences
      title={labels.title}
      confirmLabel={t().common.save}
      cancelLabel={t().common.cancel}
      preferences={{
        pageSize: preferences.pageSize,
        contentDensity: preferences.density,
        contentDisplay: COLUMNS.map((id) => ({ id, visible: preferences.columns.includes(id) })),
      }}
      pageSizePreference={{
        title: labels.pageSize,
        options: PAGE_SIZES.map((value) => ({ value, label: labels.perPage(value) })),
      }}
      contentDensityPreference={{ label: labels.compact, description: labels.compactHint }}
      contentDisplayPreference={{
        title: labels.columns,
        options: known.map(({ id, header }) => ({
          id: id ?? "",
          label: String(header),
          alwaysVisible: id === "source",
        })),
      }}
      onConfirm={({ detail }) => onChange(detail)}
    />
  );
}

interface EmptyProps {
  filtered: boolean;
  /** Look further: one answer reads only a part of many transfers. */
  onContinue: (() => void) | undefined;
}

function Empty({ filtered, onContinue }: EmptyProps) {
  const { role } = useAppContext();
  if (onContinue) {
    return (
      <Box textAlign="center" padding="l">
        <Box variant="strong">{t().transfers.noneSoFar}</Box>
        <Box padding={{ top: "s" }}>
          <Button onClick={onContinue}>{t().transfers.lookFurther}</Button>
        </Box>
      </Box>
    );
  }
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
