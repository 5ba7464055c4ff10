import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useAppContext } from "../appContext";
import { refetchAgents, useAgent } from "../hooks/queries";
import { t } from "../i18n";
import type { AgentSummary } from "../types";
import { ConfirmDialog } from "./ConfirmDialog";

interface Props {
  agent: Pick<AgentSummary, "agent_id">;
  onClose(): void;
  onRemoved?(): void;
}

export function RemoveAgent({ agent, onClose, onRemoved }: Props) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  // Asked for again: a list does not say it, and hops that the agent serves are not in its heartbeat.
  const current = useAgent(agent.agent_id);
  const open = current.data?.open_transfers ?? undefined;
  const removal = useMutation({
    mutationFn: () => api.remove(`/agents/${encodeURIComponent(agent.agent_id)}`),
    onSuccess: async () => {
      notify({ type: "success", header: t().agents.removed(agent.agent_id) });
      onRemoved?.();
      await refetchAgents(queries);
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title={t().agents.removeTitle(agent.agent_id)}
      verb={t().common.remove}
      destructive
      busy={removal.isPending || current.isPending}
      error={removal.error}
      onConfirm={() => removal.mutate()}
      onClose={onClose}
    >
      {t().agents.removeWhy}
      {open !== undefined && open > 0 && t().agents.busy(open)}
    </ConfirmDialog>
  );
}
