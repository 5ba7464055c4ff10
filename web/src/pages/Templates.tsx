import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import Toggle from "@cloudscape-design/components/toggle";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { asProblem } from "../api/problem";
import { useTemplates } from "../api/queries";
import { useSurroundings } from "../context";
import { locationText, shown } from "../format/names";
import { useNarrow } from "../media";
import { Confirm } from "../parts/Confirm";
import { ProblemAlert } from "../parts/ProblemAlert";
import { Name, Place, When } from "../parts/text";
import { href } from "../router";
import { mayAct } from "../session/claims";
import type { Template } from "../types";
import { requestOf } from "./templates/request";

export default function TemplatesPage() {
  const asked = useTemplates();
  const { role } = useSurroundings();
  const writes = mayAct(role, "operator");
  const narrow = useNarrow();
  const [removing, setRemoving] = useState<Template | null>(null);
  const create = (
    <Button variant="primary" href={href("templates", "new")}>
      New template
    </Button>
  );
  return (
    <SpaceBetween size="m">
      {asked.isError && <ProblemAlert error={asked.error} onRetry={() => asked.refetch()} />}
      <Table
        variant="full-page"
        stickyHeader
        header={
          <Header
            variant="awsui-h1-sticky"
            counter={asked.data && `(${asked.data.length})`}
            description="What is moved by itself whenever an object arrives in a bucket."
            actions={writes && create}
          >
            Templates
          </Header>
        }
        items={asked.data ?? []}
        trackBy="template_id"
        loading={asked.isPending}
        loadingText="Loading templates"
        empty={asked.isError ? "Not loaded" : <Empty writes={writes} />}
        columnDefinitions={columns(narrow, writes ? setRemoving : null)}
        wrapLines
        ariaLabels={{ tableLabel: "Templates" }}
      />
      {removing && <RemoveTemplate template={removing} onClose={() => setRemoving(null)} />}
    </SpaceBetween>
  );
}

function Empty({ writes }: { writes: boolean }) {
  return (
    <Box textAlign="center" padding="l">
      <Box variant="strong">No templates yet</Box>
      <Box variant="p" color="text-body-secondary">
        A template says: when an object arrives under this prefix, bring it to these servers.
      </Box>
      {writes && <Button href={href("templates", "new")}>New template</Button>}
    </Box>
  );
}

type Column = TableProps.ColumnDefinition<Template>;
type OnRemove = ((template: Template) => void) | null;

const NAME: Column = {
  id: "name",
  header: "Name",
  isRowHeader: true,
  minWidth: 170,
  cell: (template) => (
    <>
      <strong>{template.template_id}</strong>
      <Box color="text-body-secondary" fontSize="body-s">
        <Name>{template.description}</Name>
      </Box>
      {template.warnings.map((warning) => (
        <StatusIndicator key={warning} type="warning">
          <Name>{warning}</Name>
        </StatusIndicator>
      ))}
    </>
  ),
};

const TRIGGER: Column = {
  id: "trigger",
  header: "When objects arrive under",
  minWidth: 200,
  cell: ({ trigger }) => (
    <>
      <Name>{`s3://${trigger.bucket}/${trigger.prefix}`}</Name>
      {trigger.suffix && (
        <Box color="text-body-secondary" fontSize="body-s">
          that end in <Name>{trigger.suffix}</Name>
        </Box>
      )}
    </>
  ),
};

const DESTINATIONS: Column = {
  id: "destinations",
  header: "Bring them to",
  minWidth: 220,
  cell: ({ destinations, shape }) => (
    <>
      {destinations.map((place, number) => (
        <div key={locationText(place)}>
          {shape === "chain" && destinations.length > 1 && `${number + 1}. `}
          <Place at={place} />
        </div>
      ))}
      {destinations.length > 1 && <Badge>{shape === "chain" ? "chain" : "fan-out"}</Badge>}
    </>
  ),
};

const CHANGED: Column = {
  id: "changed",
  header: "Changed",
  minWidth: 140,
  cell: ({ updated_at, owner }) => (
    <>
      <When at={updated_at} relative />
      <Box color="text-body-secondary" fontSize="body-s">
        <Name>{owner}</Name>
      </Box>
    </>
  ),
};

function columns(narrow: boolean, onRemove: OnRemove): Column[] {
  const enabled: Column = {
    id: "enabled",
    header: "Enabled",
    minWidth: 110,
    cell: (template) => <Switch template={template} writes={onRemove !== null} />,
  };
  const acts: Column = {
    id: "acts",
    header: "Actions",
    minWidth: 130,
    cell: (template) => onRemove && <Acts template={template} onRemove={onRemove} />,
  };
  const all = [NAME, enabled, TRIGGER, DESTINATIONS, CHANGED, ...(onRemove ? [acts] : [])];
  return narrow ? [stacked(all)] : all;
}

function stacked(all: Column[]): Column {
  return {
    id: "all",
    header: "Template",
    isRowHeader: true,
    cell: (template) => (
      <SpaceBetween size="xs">
        {all.map((column) => (
          <div key={column.id}>{column.cell(template)}</div>
        ))}
      </SpaceBetween>
    ),
  };
}

function Acts({ template, onRemove }: { template: Template; onRemove: NonNullable<OnRemove> }) {
  return (
    <SpaceBetween direction="horizontal" size="s">
      <Link href={href("templates", template.template_id, "edit")} ariaLabel={`Edit ${template.template_id}`}>
        Edit
      </Link>
      <Button
        variant="inline-link"
        ariaLabel={`Delete ${template.template_id}`}
        onClick={() => onRemove(template)}
      >
        Delete
      </Button>
    </SpaceBetween>
  );
}

function Switch({ template, writes }: { template: Template; writes: boolean }) {
  const { api, notify } = useSurroundings();
  const queries = useQueryClient();
  const change = useMutation({
    mutationFn: (enabled: boolean) =>
      api.put<Template>(
        `/templates/${encodeURIComponent(template.template_id)}?version=${template.version}`,
        {
          ...requestOf(template),
          enabled,
        },
      ),
    onError: (error) => {
      const { title, detail, advice } = asProblem(error);
      notify({ type: "error", header: title, content: shown([detail, advice].filter(Boolean).join(" ")) });
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["templates"] }),
  });
  const checked = change.isPending ? change.variables : template.enabled;
  return (
    <Toggle
      checked={checked}
      disabled={!writes || change.isPending}
      ariaLabel={`${template.template_id} is enabled`}
      onChange={({ detail }) => change.mutate(detail.checked)}
    >
      {checked ? "On" : "Off"}
    </Toggle>
  );
}

function RemoveTemplate({ template, onClose }: { template: Template; onClose(): void }) {
  const { api, notify } = useSurroundings();
  const queries = useQueryClient();
  const removal = useMutation({
    mutationFn: () => api.remove(`/templates/${encodeURIComponent(template.template_id)}`),
    onSuccess: async () => {
      notify({ type: "success", header: `${template.template_id} was deleted` });
      await queries.invalidateQueries({ queryKey: ["templates"] });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Delete ${template.template_id}?`}
      verb="Delete"
      busy={removal.isPending}
      error={removal.error}
      onConfirm={() => removal.mutate()}
      onClose={onClose}
    >
      Objects that arrive from now on are no longer moved. Transfers that have begun go on. To stop it for a
      while, switch it off instead.
    </Confirm>
  );
}
