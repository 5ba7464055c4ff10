import Alert from "@cloudscape-design/components/alert";
import { Name, When } from "../../components/text";
import { useAgents } from "../../hooks/queries";
import { t } from "../../i18n";

/** Warn about agents of a hop that are late or offline. */
export function OfflineAgents({ names }: { names: readonly string[] }) {
  const agents = useAgents().data ?? [];
  const labels = t().transfer;
  return agents
    .filter(({ agent_id, status }) => names.includes(agent_id) && status !== "online")
    .map(({ agent_id, status, last_heartbeat }) => (
      <Alert
        key={agent_id}
        type="warning"
        header={<Name>{t().overview[status === "late" ? "late" : "offline"](agent_id)}</Name>}
      >
        {last_heartbeat && (
          <div>
            {labels.lastHeartbeat} <When at={last_heartbeat} relative />
          </div>
        )}
        <div>{labels.offlineHint}</div>
      </Alert>
    ));
}
