import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useSurroundings } from "../../context";
import { Confirm } from "../../parts/Confirm";
import type { Agent } from "../../types";

export function RemoveAgent({ agent, onClose }: { agent: Agent; onClose(): void }) {
  const { api, notify } = useSurroundings();
  const queries = useQueryClient();
  const removal = useMutation({
    mutationFn: () => api.remove(`/agents/${encodeURIComponent(agent.agent_id)}`),
    onSuccess: async () => {
      notify({ type: "success", header: `${agent.agent_id} was removed` });
      await queries.invalidateQueries({ queryKey: ["agents"] });
      onClose();
    },
  });
  return (
    <Confirm
      title={`Remove ${agent.agent_id}?`}
      verb="Remove"
      busy={removal.isPending}
      error={removal.error}
      onConfirm={() => removal.mutate()}
      onClose={onClose}
    >
      Its certificate is revoked and it can move no more files. Files on the server stay as they are. The
      server can join again under the same name with a new install command.
      {agent.running > 0 &&
        ` It is busy with ${agent.running} running ${agent.running === 1 ? "hop" : "hops"} now.`}
    </Confirm>
  );
}
