/** Labels and icons of states. */
import type { StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import { t } from "../i18n";
import type { AgentStatus, HopState, TransferState } from "../types";

type Kind = StatusIndicatorProps.Type;

type Color = StatusIndicatorProps.Color;

interface StateDisplay {
  label: string;
  type: Kind;
  color: Color | undefined;
}

const STATES: Record<TransferState | HopState, Kind> = {
  awaiting_approval: "pending",
  waiting: "pending",
  queued: "pending",
  offered: "in-progress",
  running: "in-progress",
  paused: "stopped",
  verifying: "in-progress",
  succeeded: "success",
  partially_failed: "warning",
  failed: "error",
  cancelled: "stopped",
};

/**
 * Colors other than the icon's own: blue is moving, amber waits for a person, red has failed; grey is only
 * queued, or ended by a person.
 */
const COLORS: Partial<Record<TransferState | HopState, Color>> = {
  offered: "blue",
  running: "blue",
  verifying: "blue",
  awaiting_approval: "yellow",
  paused: "yellow",
  partially_failed: "red",
};

const UPDATE_STATES = { aborted: "error" } satisfies Record<string, Kind>;

const AGENT_STATES: Record<AgentStatus, Kind> = {
  online: "success",
  late: "warning",
  offline: "error",
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

/** Return label and icon of a state. A state unknown to this version is shown by its name. */
export function stateDisplay(state: string): StateDisplay {
  const types: Record<string, Kind> = { ...STATES, ...UPDATE_STATES, ...AGENT_STATES };
  const labels: Record<string, string> = t().states;
  const colors: Record<string, Color> = COLORS;
  return { label: labels[state] ?? state, type: types[state] ?? "info", color: colors[state] };
}
