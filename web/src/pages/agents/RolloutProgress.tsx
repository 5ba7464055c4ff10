import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { Copyable } from "../../components/Copyable";
import { useRollouts } from "../../hooks/queries";
import { t } from "../../i18n";
import type { StartedRollout } from "../../types";
import { Expiry, InstallDialog } from "./InstallCommand";

/** Install command and token of a rollout, and how many servers have joined. */
export function RolloutProgress({ rollout, onClose }: { rollout: StartedRollout; onClose(): void }) {
  return (
    <InstallDialog name={rollout.name} how={t().addAgent.runFile} onClose={onClose}>
      <Copyable label={t().addAgent.command} text={rollout.command} />
      <Copyable label={t().addAgent.token} text={rollout.token} />
      <Expiry
        at={rollout.expires_at}
        until={t().addAgent.onceMany(rollout.count)}
        gone={t().addAgent.expiredMany}
      />
      <Joined rollout={rollout} />
    </InstallDialog>
  );
}

/** Count of joined servers, updated automatically. */
function Joined({ rollout }: { rollout: StartedRollout }) {
  const { data } = useRollouts();
  const used = data?.find((one) => one.rollout_id === rollout.rollout_id)?.used ?? 0;
  return (
    <StatusIndicator type={used >= rollout.count ? "success" : "pending"}>
      {t().addAgent.joinedMany(used, rollout.count)}
    </StatusIndicator>
  );
}
