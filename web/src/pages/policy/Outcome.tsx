import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import type { PolicyTested } from "../../types";
import { t } from "../../words";

const LOOKS: Record<PolicyTested["outcome"], StatusIndicatorProps.Type> = {
  allowed: "success",
  approval: "pending",
  refused: "error",
};

export function Outcome({ of }: { of: PolicyTested["outcome"] }) {
  return (
    <span className="state">
      <StatusIndicator type={LOOKS[of]}>{t().policies.outcomes[of]}</StatusIndicator>
    </span>
  );
}
