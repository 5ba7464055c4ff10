/** Warnings about agents as text. */
import { t } from "../i18n";
import type { AgentWarning } from "../types";
import { clockSkew } from "./times";

/** Return what is wrong with an agent, in short. */
export function warningText({ kind, path, amount }: AgentWarning): string {
  const labels = t().agents.warnings;
  switch (kind) {
    case "clock":
      return labels.clock(clockSkew((amount ?? 0) * 60));
    case "rejects_commands":
      return labels.rejectsCommands;
    case "root_missing":
      return labels.rootMissing(path ?? "");
    case "root_nearly_full":
      return labels.rootNearlyFull(path ?? "", `${amount ?? 0} %`);
  }
}
