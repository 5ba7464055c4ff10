import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { useAppContext } from "../../appContext";
import { ProblemAlert } from "../../components/ProblemAlert";
import { RemoveAgent } from "../../components/RemoveAgent";
import { UpdateAgents } from "../../components/UpdateAgents";
import { count } from "../../format/sizes";
import { useFleet } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { total } from "../../model/agents";
import { mayAct } from "../../session/claims";
import type { AgentCounts, AgentSummary } from "../../types";
import { AddAgent } from "./AddAgent";
import { columns } from "./columns";
import { NameFilter, readFilters, StatusFilter, statusFilter, TagFilter, tagsOf } from "./Filters";
import { Updates } from "./Updates";

interface Pages {
  criteria: string;
  /** Where each page begins up to the one that is shown; null for the first. */
  starts: readonly (string | null)[];
}

export default function AgentsPage({ query }: { query: URLSearchParams }) {
  const filters = readFilters(query);
  const { status, tag } = filters;
  const [search, setSearch] = useState("");
  // Other criteria begin with the first page.
  const criteria = JSON.stringify([status, tag, search]);
  const [pages, setPages] = useState<Pages>({ criteria, starts: [null] });
  const starts = pages.criteria === criteria ? pages.starts : [null];
  const fleet = useFleet({ search, tag, ...statusFilter(status) }, { after: starts.at(-1) });
  const { role } = useAppContext();
  const admin = mayAct(role, "admin");
  const narrow = useNarrow();
  const [adding, setAdding] = useState(false);
  const [updating, setUpdating] = useState(false);
  const [removing, setRemoving] = useState<AgentSummary | null>(null);
  const next = fleet.data?.next ?? null;
  const all = fleet.data ? total(fleet.data.counts) : 0;
  const empty = fleet.isError ? (
    t().common.notLoaded
  ) : all > 0 ? (
    t().agents.noMatch
  ) : (
    <Empty admin={admin} onAdd={() => setAdding(true)} />
  );
  return (
    <SpaceBetween size="m">
      {fleet.isError && <ProblemAlert error={fleet.error} onRetry={() => fleet.refetch()} />}
      <Table
        variant="full-page"
        stickyHeader
        header={
          <Header
            variant="awsui-h1-sticky"
            counter={fleet.data && all ? `(${counter(fleet.data.counts)})` : undefined}
            actions={
              admin && (
                <SpaceBetween direction="horizontal" size="xs">
                  <Button onClick={() => setUpdating(true)}>{t().updates.verb}</Button>
                  <Button variant="primary" onClick={() => setAdding(true)}>
                    {t().agents.add}
                  </Button>
                </SpaceBetween>
              )
            }
          >
            {t().agents.title}
          </Header>
        }
        filter={
          <div className="filters">
            <NameFilter value={search} onChange={setSearch} />
            <StatusFilter filters={filters} />
            <TagFilter filters={filters} tags={tagsOf(fleet.data?.agents ?? [])} />
          </div>
        }
        pagination={
          (next || starts.length > 1) && (
            <Pagination
              currentPageIndex={starts.length}
              pagesCount={next ? starts.length + 1 : starts.length}
              openEnd={Boolean(next)}
              onChange={({ detail }) =>
                setPages({ criteria, starts: [...starts, next].slice(0, detail.currentPageIndex) })
              }
            />
          )
        }
        items={fleet.data?.agents ?? []}
        empty={empty}
        trackBy="agent_id"
        loading={fleet.isPending}
        loadingText={t().location.loading}
        columnDefinitions={columns(narrow, admin ? setRemoving : null)}
        wrapLines
        ariaLabels={{ tableLabel: t().agents.title }}
      />
      <Updates admin={admin} />
      {updating && <UpdateAgents agentId={null} onClose={() => setUpdating(false)} />}
      {adding && <AddAgent onClose={() => setAdding(false)} />}
      {removing && <RemoveAgent agent={removing} onClose={() => setRemoving(null)} />}
    </SpaceBetween>
  );
}

function counter(counts: AgentCounts): string {
  return t().agents.online(count(counts.online), count(total(counts)));
}

function Empty({ admin, onAdd }: { admin: boolean; onAdd(): void }) {
  return (
    <Box textAlign="center" padding="l">
      <Box variant="strong">{t().agents.none}</Box>
      <Box variant="p" color="text-body-secondary">
        {t().agents.noneHint}
      </Box>
      {admin && <Button onClick={onAdd}>{t().agents.add}</Button>}
    </Box>
  );
}
