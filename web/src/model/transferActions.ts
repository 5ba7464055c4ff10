/** Actions on a transfer by its state and the person's role. */
import { mayAct, type Role } from "../session/claims";
import type { Transfer, TransferState, TransferSummary } from "../types";

export type Verb = "pause" | "resume" | "retry" | "acknowledge" | "cancel";

const ALLOWED_VERBS: Record<TransferState, Verb[]> = {
  awaiting_approval: ["cancel"],
  queued: ["pause", "cancel"],
  running: ["pause", "cancel"],
  paused: ["resume", "cancel"],
  succeeded: [],
  partially_failed: ["retry", "acknowledge"],
  failed: ["retry", "acknowledge"],
  cancelled: ["retry"],
};

/** Return what the person may do. A dry run's failure needs no acknowledgment: nobody is told of it. */
export function verbsFor(transfer: TransferSummary, role: Role): Verb[] {
  if (!mayAct(role, "operator")) return [];
  const settled = transfer.acknowledged_by || transfer.dry_run;
  return (ALLOWED_VERBS[transfer.state] ?? []).filter((verb) => !(verb === "acknowledge" && settled));
}

/** Return the last part of the address to which the action is posted. */
export function pathOf(verb: Verb): string {
  return verb === "acknowledge" ? "acknowledgment" : verb;
}

export function isUnfinished(state: TransferState): boolean {
  return state === "awaiting_approval" || state === "queued" || state === "running" || state === "paused";
}

/** Return whether the person may approve: an operator who did not request the transfer. */
export function mayApprove({ state, approval }: Transfer, personId: string, role: Role): boolean {
  const waits = state === "awaiting_approval" && approval !== null && !approval.by;
  return waits && mayAct(role, "operator") && !approval.asked_for.some((one) => one.id === personId);
}
