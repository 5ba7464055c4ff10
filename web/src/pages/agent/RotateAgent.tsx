import { useMutation, useQueryClient } from "@tanstack/react-query";
import { newKey } from "../../api/idempotency";
import { useAppContext } from "../../appContext";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { refetchAgents } from "../../hooks/queries";
import { t } from "../../i18n";
import type { Agent } from "../../types";

interface Props {
  agent: Agent;
  onClose(): void;
}

/** Confirm the rotation of an agent's keys. */
export function RotateAgent({ agent, onClose }: Props) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  const rotation = useMutation({
    mutationFn: () => api.post<Agent>(`/agents/${encodeURIComponent(agent.agent_id)}/rotate`, {}, newKey()),
    onSuccess: async () => {
      notify({ type: "success", header: t().agent.rotationRequested(agent.agent_id) });
      await refetchAgents(queries);
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t().agent.rotateTitle(agent.agent_id)}
      verb={t().agent.rotate}
      busy={rotation.isPending}
      error={rotation.error}
      onConfirm={() => rotation.mutate()}
      onClose={onClose}
    >
      {t().agent.rotateWhy}
    </ConfirmDialog>
  );
}
