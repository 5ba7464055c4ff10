import { useCollection } from "@cloudscape-design/collection-hooks";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useState } from "react";
import { useAppContext } from "../../appContext";
import { ProblemAlert } from "../../components/ProblemAlert";
import { RemoveAgent } from "../../components/RemoveAgent";
import { UpdateAgents } from "../../components/UpdateAgents";
import { count } from "../../format/sizes";
import { useAgents } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { mayAct } from "../../session/claims";
import type { Agent } from "../../types";
import { AddAgent } from "./AddAgent";
import { columns } from "./columns";
import { matchesFilters, readFilters, StatusFilter, TagFilter, tagsOf } from "./Filters";
import { Updates } from "./Updates";

export default function AgentsPage({ query }: { query: URLSearchParams }) {
  const agentsQuery = useAgents();
  const filters = readFilters(query);
  const wanted = (agentsQuery.data ?? []).filter((agent) => matchesFilters(agent, filters));
  const { role } = useAppContext();
  const admin = mayAct(role, "admin");
  const narrow = useNarrow();
  const [adding, setAdding] = useState(false);
  const [updating, setUpdating] = useState(false);
  const [removing, setRemoving] = useState<Agent | null>(null);
  const { items, collectionProps, filterProps, filteredItemsCount } = useCollection(wanted, {
    filtering: {
      filteringFunction: matches,
      noMatch: t().agents.noMatch,
      empty: agentsQuery.isError ? (
        t().common.notLoaded
      ) : filters.status || filters.tag ? (
        t().agents.noMatch
      ) : (
        <Empty admin={admin} onAdd={() => setAdding(true)} />
      ),
    },
    sorting: { defaultState: { sortingColumn: { sortingField: "agent_id" } } },
  });
  return (
    <SpaceBetween size="m">
      {agentsQuery.isError && (
        <ProblemAlert error={agentsQuery.error} onRetry={() => agentsQuery.refetch()} />
      )}
      <Table
        {...collectionProps}
        variant="full-page"
        stickyHeader
        header={
          <Header
            variant="awsui-h1-sticky"
            counter={agentsQuery.data?.length ? `(${counter(agentsQuery.data)})` : undefined}
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
            <TextFilter
              {...filterProps}
              filteringPlaceholder={t().agents.find}
              filteringAriaLabel={t().agents.find}
              countText={t().common.found(count(filteredItemsCount ?? 0))}
            />
            <StatusFilter filters={filters} />
            <TagFilter filters={filters} tags={tagsOf(agentsQuery.data ?? [])} />
          </div>
        }
        items={items}
        trackBy="agent_id"
        loading={agentsQuery.isPending}
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

function matches(agent: Agent, text: string): boolean {
  const tags = Object.entries(agent.tags).flat();
  const words = [
    agent.agent_id,
    agent.hostname,
    agent.ip_address ?? "",
    agent.status,
    agent.version,
    ...tags,
  ];
  return [...words, ...agent.roots.map((root) => root.path)].some((word) =>
    word.toLowerCase().includes(text.toLowerCase()),
  );
}

function counter(agents: Agent[]): string {
  const online = agents.filter((agent) => agent.status === "online").length;
  return t().agents.online(online, agents.length);
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
