/** Actions on a transfer by its state and the person's role. */
import { mayAct, type Role } from "../session/claims";
import type { Transfer, TransferState } from "../types";

export type Verb = "pause" | "resume" | "retry" | "cancel";

const ALLOWED_VERBS: Record<TransferState, Verb[]> = {
  awaiting_approval: ["cancel"],
  queued: ["pause", "cancel"],
  running: ["pause", "cancel"],
  paused: ["resume", "cancel"],
  succeeded: [],
  partially_failed: ["retry"],
  failed: ["retry"],
  cancelled: ["retry"],
};

export function verbsFor(state: TransferState, role: Role): Verb[] {
  return mayAct(role, "operator") ? (ALLOWED_VERBS[state] ?? []) : [];
}

export function isUnfinished(state: TransferState): boolean {
  return state === "awaiting_approval" || state === "queued" || state === "running" || state === "paused";
}

/** Return whether the person may approve: an operator who did not request the transfer. */
export function mayApprove({ state, approval }: Transfer, personId: string, role: Role): boolean {
  const waits = state === "awaiting_approval" && approval !== null && !approval.by;
  return waits && mayAct(role, "operator") && !approval.asked_for.some((one) => one.id === personId);
}
