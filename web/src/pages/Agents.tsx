import { useCollection } from "@cloudscape-design/collection-hooks";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useState } from "react";
import { useAgents } from "../api/queries";
import { useSurroundings } from "../context";
import { useNarrow } from "../media";
import { ProblemAlert } from "../parts/ProblemAlert";
import { mayAct } from "../session/claims";
import type { Agent } from "../types";
import { AddAgent } from "./agents/AddAgent";
import { columns } from "./agents/columns";
import { RemoveAgent } from "./agents/RemoveAgent";

export default function AgentsPage() {
  const asked = useAgents();
  const { role } = useSurroundings();
  const admin = mayAct(role, "admin");
  const narrow = useNarrow();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Agent | null>(null);
  const { items, collectionProps, filterProps, filteredItemsCount } = useCollection(asked.data ?? [], {
    filtering: {
      filteringFunction: matches,
      noMatch: "No agent matches.",
      empty: asked.isError ? "Not loaded" : <Empty admin={admin} onAdd={() => setAdding(true)} />,
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
                <Button variant="primary" onClick={() => setAdding(true)}>
                  Add agent
                </Button>
              )
            }
          >
            Agents
          </Header>
        }
        filter={
          <TextFilter
            {...filterProps}
            filteringPlaceholder="Find agents"
            filteringAriaLabel="Find agents"
            countText={`${filteredItemsCount ?? 0} found`}
          />
        }
        items={items}
        trackBy="agent_id"
        loading={asked.isPending}
        loadingText="Loading agents"
        columnDefinitions={columns(narrow, admin ? setRemoving : null)}
        wrapLines
        ariaLabels={{ tableLabel: "Agents" }}
      />
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
  return `${online} of ${agents.length} online`;
}

function Empty({ admin, onAdd }: { admin: boolean; onAdd(): void }) {
  return (
    <Box textAlign="center" padding="l">
      <Box variant="strong">No agents yet</Box>
      <Box variant="p" color="text-body-secondary">
        An agent is the service that reads and writes files on one server. Add one, then run the line it shows
        on that server.
      </Box>
      {admin && <Button onClick={onAdd}>Add agent</Button>}
    </Box>
  );
}
