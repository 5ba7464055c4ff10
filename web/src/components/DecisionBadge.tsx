import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import { t } from "../i18n";
import type { PolicyTested } from "../types";

const ICONS: Record<PolicyTested["outcome"], StatusIndicatorProps.Type> = {
  allowed: "success",
  approval: "pending",
  refused: "error",
};

export function DecisionBadge({ of }: { of: PolicyTested["outcome"] }) {
  return (
    <StatusIndicator type={ICONS[of]}>
      <span className="words">{t().policies.outcomes[of]}</span>
    </StatusIndicator>
  );
}
