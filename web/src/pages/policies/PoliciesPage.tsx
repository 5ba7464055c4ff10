import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useAppContext } from "../../appContext";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { ProblemAlert } from "../../components/ProblemAlert";
import { Name, When } from "../../components/text";
import { actorName } from "../../format/names";
import { usePolicies } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { href } from "../../router";
import type { Policy } from "../../types";
import { Approvals } from "./Approvals";
import { Tester } from "./Tester";

export default function PoliciesPage() {
  const query = usePolicies();
  const [removing, setRemoving] = useState<Policy | null>(null);
  const narrow = useNarrow();
  const labels = t().policies;
  return (
    <SpaceBetween size="l">
      {query.isError && <ProblemAlert error={query.error} onRetry={() => query.refetch()} />}
      <Table
        header={
          <Header
            variant="h1"
            counter={query.data && `(${query.data.policies.length})`}
            description={labels.hint}
            actions={
              <Button variant="primary" href={href("policies", "new")}>
                {labels.new}
              </Button>
            }
          >
            {labels.title}
          </Header>
        }
        items={[...(query.data?.policies ?? [])]}
        trackBy="policy_id"
        loading={query.isPending}
        loadingText={t().common.loading(labels.thing)}
        empty={query.isError ? t().common.notLoaded : labels.none}
        columnDefinitions={narrow ? stacked(setRemoving) : columns(setRemoving)}
        wrapLines
        ariaLabels={{ tableLabel: labels.title }}
      />
      <Approvals />
      <Tester />
      {removing && <RemovePolicy policy={removing} onClose={() => setRemoving(null)} />}
    </SpaceBetween>
  );
}

type OnRemove = (policy: Policy) => void;

const stacked = (onRemove: OnRemove): TableProps.ColumnDefinition<Policy>[] => [
  {
    id: "all",
    header: t().common.name,
    isRowHeader: true,
    cell: (policy) => (
      <SpaceBetween size="xxs">
        <Link href={href("policies", policy.policy_id, "edit")}>{policy.policy_id}</Link>
        <Name>{policy.why}</Name>
        <Box color="text-body-secondary" fontSize="body-s">
          <Name>{actorName(policy.by)}</Name>
          {policy.at && (
            <>
              {" · "}
              <When at={policy.at} relative />
            </>
          )}
        </Box>
        <Remove policy={policy} onRemove={onRemove} />
      </SpaceBetween>
    ),
  },
];

const columns = (onRemove: OnRemove): TableProps.ColumnDefinition<Policy>[] => [
  {
    id: "name",
    header: t().common.name,
    isRowHeader: true,
    cell: ({ policy_id }) => <Link href={href("policies", policy_id, "edit")}>{policy_id}</Link>,
  },
  { id: "version", header: t().policies.version, cell: ({ version }) => version },
  { id: "why", header: t().policy.why, cell: ({ why }) => <Name>{why}</Name> },
  { id: "by", header: t().transfer.by, cell: ({ by }) => <Name>{actorName(by)}</Name> },
  { id: "at", header: t().templates.changed, cell: ({ at }) => (at ? <When at={at} relative /> : "–") },
  {
    id: "acts",
    header: t().common.actions,
    cell: (policy) => <Remove policy={policy} onRemove={onRemove} />,
  },
];

function Remove({ policy, onRemove }: { policy: Policy; onRemove: OnRemove }) {
  return (
    <Button
      variant="inline-link"
      ariaLabel={t().policies.removeIt(policy.policy_id)}
      onClick={() => onRemove(policy)}
    >
      {t().common.remove}
    </Button>
  );
}

function RemovePolicy({ policy: { policy_id }, onClose }: { policy: Policy; onClose(): void }) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  const [why, setWhy] = useState("");
  const labels = t().policies;
  const removal = useMutation({
    mutationFn: () =>
      api.remove(`/policies/${encodeURIComponent(policy_id)}?${new URLSearchParams({ why })}`),
    onSuccess: async () => {
      notify({ type: "success", header: labels.removed(policy_id) });
      await queries.invalidateQueries({ queryKey: ["policies"] });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={labels.removeTitle(policy_id)}
      verb={t().common.remove}
      destructive
      busy={removal.isPending}
      error={removal.error}
      onConfirm={() => removal.mutate()}
      onClose={onClose}
    >
      <SpaceBetween size="m">
        <div>{labels.removeWhy}</div>
        <FormField label={t().policy.why} constraintText={t().policy.whyHint}>
          <Input value={why} onChange={({ detail }) => setWhy(detail.value)} />
        </FormField>
      </SpaceBetween>
    </ConfirmDialog>
  );
}
