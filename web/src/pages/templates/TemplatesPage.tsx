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
import { useAppContext } from "../../appContext";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { ProblemAlert } from "../../components/ProblemAlert";
import { LocationName, Name, ProblemText, When } from "../../components/text";
import { actorName, locationText } from "../../format/names";
import { noticeFrom } from "../../format/problems";
import { useTemplates } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { href } from "../../router";
import { mayAct } from "../../session/claims";
import type { Template } from "../../types";
import { requestOf } from "./request";

export default function TemplatesPage() {
  const query = useTemplates();
  const { role } = useAppContext();
  const writes = mayAct(role, "operator");
  const narrow = useNarrow();
  const [removing, setRemoving] = useState<Template | null>(null);
  const create = (
    <Button variant="primary" href={href("templates", "new")}>
      {t().templates.new}
    </Button>
  );
  return (
    <SpaceBetween size="m">
      {query.isError && <ProblemAlert error={query.error} onRetry={() => query.refetch()} />}
      <Table
        variant="full-page"
        stickyHeader
        header={
          <Header
            variant="awsui-h1-sticky"
            counter={query.data && `(${query.data.length})`}
            description={t().templates.hint}
            actions={writes && create}
          >
            {t().templates.title}
          </Header>
        }
        items={query.data ?? []}
        trackBy="template_id"
        loading={query.isPending}
        loadingText={t().common.loading(t().templates.thing)}
        empty={query.isError ? t().common.notLoaded : <Empty writes={writes} />}
        columnDefinitions={columns(narrow, writes ? setRemoving : null)}
        wrapLines
        ariaLabels={{ tableLabel: t().templates.title }}
      />
      {removing && <RemoveTemplate template={removing} onClose={() => setRemoving(null)} />}
    </SpaceBetween>
  );
}

function Empty({ writes }: { writes: boolean }) {
  return (
    <Box textAlign="center" padding="l">
      <Box variant="strong">{t().templates.none}</Box>
      <Box variant="p" color="text-body-secondary">
        {t().templates.noneHint}
      </Box>
      {writes && <Button href={href("templates", "new")}>{t().templates.new}</Button>}
    </Box>
  );
}

type Column = TableProps.ColumnDefinition<Template>;
type OnRemove = ((template: Template) => void) | null;

const name = (): Column => ({
  id: "name",
  header: t().common.name,
  isRowHeader: true,
  minWidth: 170,
  cell: (template) => (
    <>
      <strong>
        <Link href={href("templates", template.template_id, "edit")}>{template.template_id}</Link>
      </strong>
      <Box color="text-body-secondary" fontSize="body-s">
        <Name>{template.description}</Name>
      </Box>
      {template.warnings.map((warning) => (
        <StatusIndicator key={warning.message} type="warning">
          <ProblemText problem={warning} />
        </StatusIndicator>
      ))}
    </>
  ),
});

const trigger = (): Column => ({
  id: "trigger",
  header: t().templates.when,
  minWidth: 200,
  cell: ({ trigger }) => (
    <>
      <Name>{`s3://${trigger.bucket}/${trigger.prefix}`}</Name>
      {trigger.suffix && (
        <Box color="text-body-secondary" fontSize="body-s">
          {t().templates.endIn} <Name>{trigger.suffix}</Name>
        </Box>
      )}
    </>
  ),
});

const destinations = (): Column => ({
  id: "destinations",
  header: t().templates.destinations,
  minWidth: 220,
  cell: ({ destinations, shape }) => (
    <>
      {destinations.map((place, number) => (
        <div key={locationText(place)}>
          {shape === "chain" && destinations.length > 1 && `${number + 1}. `}
          <LocationName at={place} />
        </div>
      ))}
      {destinations.length > 1 && (
        <Badge>{shape === "chain" ? t().templates.chain : t().templates.fanOut}</Badge>
      )}
    </>
  ),
});

const changed = (): Column => ({
  id: "changed",
  header: t().templates.changed,
  minWidth: 140,
  cell: ({ updated_at, owner }) => (
    <>
      <When at={updated_at} relative />
      <Box color="text-body-secondary" fontSize="body-s">
        <Name>{actorName(owner)}</Name>
      </Box>
    </>
  ),
});

function columns(narrow: boolean, onRemove: OnRemove): Column[] {
  const enabled: Column = {
    id: "enabled",
    header: t().templates.enabled,
    minWidth: 110,
    cell: (template) => <EnabledToggle template={template} writes={onRemove !== null} />,
  };
  const acts: Column = {
    id: "acts",
    header: t().common.actions,
    minWidth: 130,
    cell: (template) => onRemove && <Actions template={template} onRemove={onRemove} />,
  };
  const all = [name(), enabled, trigger(), destinations(), changed(), ...(onRemove ? [acts] : [])];
  return narrow ? [stacked(all)] : all;
}

function stacked(all: Column[]): Column {
  return {
    id: "all",
    header: t().templates.template,
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

function Actions({ template, onRemove }: { template: Template; onRemove: NonNullable<OnRemove> }) {
  return (
    <SpaceBetween direction="horizontal" size="s">
      <Link
        href={href("templates", template.template_id, "edit")}
        ariaLabel={t().templates.editIt(template.template_id)}
      >
        {t().common.edit}
      </Link>
      <Button
        variant="inline-link"
        ariaLabel={t().templates.deleteIt(template.template_id)}
        onClick={() => onRemove(template)}
      >
        {t().common.delete}
      </Button>
    </SpaceBetween>
  );
}

function EnabledToggle({ template, writes }: { template: Template; writes: boolean }) {
  const { api, notify } = useAppContext();
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
    onError: (error) => notify(noticeFrom(error)),
    onSettled: () => queries.invalidateQueries({ queryKey: ["templates"] }),
  });
  const checked = change.isPending ? change.variables : template.enabled;
  return (
    <Toggle
      checked={checked}
      disabled={!writes || change.isPending}
      ariaLabel={t().templates.isEnabled(template.template_id)}
      onChange={({ detail }) => change.mutate(detail.checked)}
    >
      {checked ? t().templates.on : t().templates.off}
    </Toggle>
  );
}

function RemoveTemplate({ template, onClose }: { template: Template; onClose(): void }) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  const removal = useMutation({
    mutationFn: () => api.remove(`/templates/${encodeURIComponent(template.template_id)}`),
    onSuccess: async () => {
      notify({ type: "success", header: t().templates.deleted(template.template_id) });
      await queries.invalidateQueries({ queryKey: ["templates"] });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t().templates.deleteTitle(template.template_id)}
      verb={t().common.delete}
      destructive
      busy={removal.isPending}
      error={removal.error}
      onConfirm={() => removal.mutate()}
      onClose={onClose}
    >
      {t().templates.deleteWhy}
    </ConfirmDialog>
  );
}
