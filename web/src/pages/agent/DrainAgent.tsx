import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useAppContext } from "../../appContext";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { ProblemAlert } from "../../components/ProblemAlert";
import { refetchAgents } from "../../hooks/queries";
import { t } from "../../i18n";
import type { Agent } from "../../types";

interface Props {
  agent: Agent;
  onClose(): void;
}

const HOUR_MS = 3_600_000;

function drainPath({ agent_id }: Agent): string {
  return `/agents/${encodeURIComponent(agent_id)}/drain`;
}

/** Ask until when an agent gets no new hops, and why. */
export function DrainAgent({ agent, onClose }: Props) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  const [hours, setHours] = useState("");
  const [why, setWhy] = useState("");
  const [maintenance, setMaintenance] = useState(false);
  const length = hours.trim() ? Number(hours.replace(",", ".")) : null;
  const invalid = length !== null && !(length > 0 && length < 24 * 3660);
  const drain = useMutation({
    mutationFn: () =>
      api.put<Agent>(drainPath(agent), {
        until: length === null ? null : new Date(Date.now() + length * HOUR_MS).toISOString(),
        maintenance,
        why: why.trim() || null,
      }),
    onSuccess: async () => {
      notify({ type: "success", header: t().agent.drained(agent.agent_id) });
      await refetchAgents(queries);
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t().agent.drainTitle(agent.agent_id)}
      verb={t().agent.drain}
      busy={drain.isPending}
      error={drain.error}
      onConfirm={() => !invalid && drain.mutate()}
      onClose={onClose}
    >
      <SpaceBetween size="m">
        {t().agent.drainWhy}
        <FormField
          label={t().agent.drainHours}
          description={t().agent.drainHoursHint}
          errorText={invalid ? t().agent.drainHoursInvalid : undefined}
        >
          <Input value={hours} inputMode="decimal" onChange={({ detail }) => setHours(detail.value)} />
        </FormField>
        <FormField label={t().agent.drainReason} description={t().agent.drainReasonHint}>
          <Input value={why} onChange={({ detail }) => setWhy(detail.value)} />
        </FormField>
        <Checkbox checked={maintenance} onChange={({ detail }) => setMaintenance(detail.checked)}>
          {t().agent.maintenance}
        </Checkbox>
      </SpaceBetween>
    </ConfirmDialog>
  );
}

/** End an agent's drain. */
export function EndDrain({ agent }: { agent: Agent }) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  const end = useMutation({
    mutationFn: () => api.remove(drainPath(agent)),
    onSuccess: async () => {
      notify({ type: "success", header: t().agent.undrained(agent.agent_id) });
      await refetchAgents(queries);
    },
  });
  return (
    <>
      <Button loading={end.isPending} onClick={() => end.mutate()}>
        {t().agent.undrain}
      </Button>
      {end.error && <ProblemAlert error={end.error} />}
    </>
  );
}
