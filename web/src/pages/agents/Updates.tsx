import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import ProgressBar from "@cloudscape-design/components/progress-bar";
import Table from "@cloudscape-design/components/table";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { newKey } from "../../api/idempotency";
import { useAppContext } from "../../appContext";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { Name, ProblemText, State, When } from "../../components/text";
import { actorName } from "../../format/names";
import { useUpdate, useUpdates } from "../../hooks/queries";
import { t } from "../../i18n";
import type { Update } from "../../types";

const MAX_UPDATES = 5;

/** Table of the latest updates with progress and failures. Renders nothing if there are none. */
export function Updates({ admin }: { admin: boolean }) {
  const { data } = useUpdates();
  const [cancelling, setCancelling] = useState<Update | null>(null);
  if (!data?.length) return null;
  const cancel = (update: Update) =>
    update.state === "running" && (
      <Button variant="inline-link" onClick={() => setCancelling(update)}>
        {t().common.cancel}
      </Button>
    );
  return (
    <>
      <Table
        header={<Header variant="h2">{t().updates.title}</Header>}
        items={data.slice(0, MAX_UPDATES)}
        trackBy="update_id"
        wrapLines
        ariaLabels={{ tableLabel: t().updates.title }}
        columnDefinitions={[
          { id: "version", header: t().agents.version, isRowHeader: true, cell: ({ version }) => version },
          { id: "state", header: t().agents.status, cell: (update) => <UpdateState update={update} /> },
          { id: "share", header: t().updates.updated, cell: (update) => <UpdateProgress update={update} /> },
          { id: "begun", header: t().updates.since, cell: (update) => <StartedBy update={update} /> },
          ...(admin ? [{ id: "cancel", header: t().common.actions, cell: cancel }] : []),
        ]}
      />
      {cancelling && <CancelUpdate update={cancelling} onClose={() => setCancelling(null)} />}
    </>
  );
}

function UpdateState({ update }: { update: Update }) {
  return (
    <>
      <State of={update.state} />
      {update.problem && (
        <Box color="text-body-secondary" fontSize="body-s">
          <ProblemText problem={update.problem} />
        </Box>
      )}
      <Failures update={update} />
    </>
  );
}

/** Agents whose update failed, and why. Fetched only if there are any. */
function Failures({ update }: { update: Update }) {
  const failed = ["failed", "returned", "timed_out"] as const;
  const any = failed.some((state) => update.counts[state]);
  const { data } = useUpdate(any ? update.update_id : null);
  const members = data?.members.filter(({ state }) => failed.some((one) => one === state)) ?? [];
  return members.map(({ agent_id, state, problem }) => (
    <Box key={agent_id} color="text-status-error" fontSize="body-s">
      {t().updates.failure(agent_id, t().updates.states[state] ?? state)}{" "}
      {problem && <ProblemText problem={problem} />}
    </Box>
  ));
}

function UpdateProgress({ update }: { update: Update }) {
  const all = Object.values(update.counts).reduce((sum: number, count) => sum + (count ?? 0), 0);
  const done = update.counts.succeeded ?? 0;
  return (
    <ProgressBar
      value={all ? Math.round((done / all) * 100) : 0}
      ariaLabel={t().updates.updated}
      description={t().updates.progress(done, all, update.stage + 1, update.stages)}
    />
  );
}

function StartedBy({ update }: { update: Update }) {
  return (
    <>
      <When at={update.created_at} relative />
      <Box color="text-body-secondary" fontSize="body-s">
        <Name>{actorName(update.created_by)}</Name>
      </Box>
    </>
  );
}

function CancelUpdate({ update, onClose }: { update: Update; onClose(): void }) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  const cancelling = useMutation({
    mutationFn: () =>
      api.post<Update>(`/updates/${encodeURIComponent(update.update_id)}/cancel`, {}, newKey()),
    onSuccess: async () => {
      notify({ type: "success", header: t().updates.cancelled });
      await queries.invalidateQueries({ queryKey: ["updates"] });
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t().updates.cancelTitle(update.version)}
      verb={t().updates.cancel}
      busy={cancelling.isPending}
      error={cancelling.error}
      onConfirm={() => cancelling.mutate()}
      onClose={onClose}
    >
      {t().updates.cancelWhy}
    </ConfirmDialog>
  );
}
