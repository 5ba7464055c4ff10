/** What states are called and how they look. */
import type { StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import type { AgentStatus, HopState, TransferState } from "../types";

interface Look {
  label: string;
  type: StatusIndicatorProps.Type;
}

export const STATES: Record<TransferState | HopState, Look> = {
  awaiting_approval: { label: "Awaiting approval", type: "pending" },
  waiting: { label: "Waiting", type: "pending" },
  queued: { label: "Queued", type: "pending" },
  offered: { label: "Starting", type: "in-progress" },
  running: { label: "Running", type: "in-progress" },
  paused: { label: "Paused", type: "stopped" },
  verifying: { label: "Verifying", type: "in-progress" },
  succeeded: { label: "Succeeded", type: "success" },
  partially_failed: { label: "Partially failed", type: "warning" },
  failed: { label: "Failed", type: "error" },
  cancelled: { label: "Cancelled", type: "stopped" },
};

export const AGENT_STATES: Record<AgentStatus, Look> = {
  online: { label: "Online", type: "success" },
  late: { label: "Late", type: "warning" },
  offline: { label: "Offline", type: "error" },
};

export const TRANSFER_STATES: TransferState[] = [
  "awaiting_approval",
  "queued",
  "running",
  "paused",
  "succeeded",
  "partially_failed",
  "failed",
  "cancelled",
];

/** A state that a newer API may know and this page does not is shown by its own name. */
export function lookOf(state: string): Look {
  const known: Record<string, Look> = { ...STATES, ...AGENT_STATES };
  return known[state] ?? { label: state, type: "info" };
}
