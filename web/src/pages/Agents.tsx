import { useCollection } from "@cloudscape-design/collection-hooks";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useState } from "react";
import { useAgents } from "../api/queries";
import { useSurroundings } from "../context";
import { count } from "../format/sizes";
import { lookOf } from "../format/states";
import { useNarrow } from "../media";
import { ProblemAlert } from "../parts/ProblemAlert";
import { go, hrefWith } from "../router";
import { mayAct } from "../session/claims";
import type { Agent, AgentStatus } from "../types";
import { t } from "../words";
import { AddAgent } from "./agents/AddAgent";
import { columns } from "./agents/columns";
import { RemoveAgent } from "./agents/RemoveAgent";
import { UpdateAgents } from "./agents/UpdateAgents";
import { Updates } from "./agents/Updates";

const STATUSES: AgentStatus[] = ["online", "late", "offline"];

export default function AgentsPage({ query }: { query: URLSearchParams }) {
  const asked = useAgents();
  const status = STATUSES.find((one) => one === query.get("status")) ?? null;
  const wanted = (asked.data ?? []).filter((one) => status === null || one.status === status);
  const { role } = useSurroundings();
  const admin = mayAct(role, "admin");
  const narrow = useNarrow();
  const [adding, setAdding] = useState(false);
  const [updating, setUpdating] = useState(false);
  const [removing, setRemoving] = useState<Agent | null>(null);
  const { items, collectionProps, filterProps, filteredItemsCount } = useCollection(wanted, {
    filtering: {
      filteringFunction: matches,
      noMatch: t().agents.noMatch,
      empty: asked.isError ? (
        t().common.notLoaded
      ) : status ? (
        t().agents.noMatch
      ) : (
        <Empty admin={admin} onAdd={() => setAdding(true)} />
      ),
    },
    sorting: { defaultState: { sortingColumn: { sortingField: "agent_id" } } },
  });
  return (
    <SpaceBetween size="m">
      {asked.isError && <ProblemAlert error={asked.error} onRetry={() => asked.refetch()} />}
      <Table
        {...collectionProps}
        variant="full-page"
        stickyHeader
        header={
          <Header
            variant="awsui-h1-sticky"
            counter={asked.data && `(${counter(asked.data)})`}
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
            <StatusFilter status={status} />
          </div>
        }
        items={items}
        trackBy="agent_id"
        loading={asked.isPending}
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

function StatusFilter({ status }: { status: AgentStatus | null }) {
  const every = { value: "", label: t().agents.everyStatus };
  const options = [every, ...STATUSES.map((value) => ({ value, label: lookOf(value).label }))];
  return (
    <Select
      ariaLabel={t().agents.status}
      options={options}
      selectedOption={options.find((one) => one.value === status) ?? every}
      onChange={({ detail }) => go(hrefWith("agents", { status: detail.selectedOption.value ?? null }))}
    />
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
