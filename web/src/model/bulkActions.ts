/** One action on many transfers: what it will do with which of them, and how it went. */
import type { Role } from "../session/claims";
import type { TransferSummary } from "../types";
import { type Verb, verbsFor } from "./transferActions";

export const BULK_VERBS: readonly Verb[] = ["pause", "resume", "retry", "acknowledge", "cancel"];

/** Number of requests that are under way at once: the API's functions serve other people, too. */
const AT_ONCE = 4;

/** Return which transfers the action changes, and which it leaves as they are. */
export function dividedFor(verb: Verb, transfers: readonly TransferSummary[], role: Role) {
  const affected = transfers.filter((transfer) => verbsFor(transfer, role).includes(verb));
  return { affected, others: transfers.filter((transfer) => !affected.includes(transfer)) };
}

export interface Outcome {
  transfer: TransferSummary;
  /** Why it was refused, undefined if it was done. */
  error?: unknown;
}

/** Run the action on every transfer, a few at once; one that is refused does not stop the others. */
export async function steerAll(
  transfers: readonly TransferSummary[],
  action: (transfer: TransferSummary) => Promise<unknown>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = transfers.map((transfer) => ({ transfer }));
  const waiting = [...outcomes];
  async function work(): Promise<void> {
    for (let outcome = waiting.shift(); outcome; outcome = waiting.shift()) {
      try {
        await action(outcome.transfer);
      } catch (error) {
        outcome.error = error;
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return outcomes;
}
