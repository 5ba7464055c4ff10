/**
 * Parse messages about live progress. They come from agents without passing the control plane, so that each
 * field may be anything; only the topic is sure, since the broker lets an agent publish below its own name.
 */
import type { Live, Losses, Progress, SpaceShortage } from "../types";
import { parseJson } from "./subscribe";

/** A live message and the agent that sent it, from the topic. */
export type AgentLive = Live & { agent_id: string };

/** `Topics.live` in events/topics.py. */
const TOPIC = /^crosshaul\/[^/]+\/agents\/crosshaul:[^/:]+:([^/:]+)\/live\/([^/]+)\/([^/]+)$/;
/** Longest path shown as the current one, in characters. */
const MAX_PATH_CHARS = 8_192;

/** Parse a live message. Return null if it is invalid: the next one comes within a second. */
export function parseLive(payload: Uint8Array, topic: string): AgentLive | null {
  const [, agent_id, transfer_id, hop_id] = TOPIC.exec(topic) ?? [];
  const live = parseJson<Live>(payload);
  if (!agent_id || !live || live.transfer_id !== transfer_id || live.hop_id !== hop_id) return null;
  const { at, attempt } = live;
  const progress = parseProgress(live.progress);
  if (!progress || !isCount(attempt) || typeof at !== "string" || Number.isNaN(Date.parse(at))) return null;
  return { agent_id, transfer_id, hop_id, attempt, at, progress } as AgentLive;
}

function parseProgress(given: unknown): Progress | null {
  const progress = (given ?? {}) as Progress;
  const { bytes_total, files_total, current, space_shortage } = progress;
  const amounts = {
    bytes_done: progress.bytes_done,
    files_done: progress.files_done,
    bytes_unchanged: progress.bytes_unchanged,
    files_unchanged: progress.files_unchanged,
    bytes_moved: progress.bytes_moved,
    files_moved: progress.files_moved,
    files_removed: progress.files_removed,
    bytes_per_second: progress.bytes_per_second,
  };
  const lost = parseLosses(progress.lost);
  const valid =
    lost !== null &&
    Object.values(amounts).every(isCount) &&
    [bytes_total, files_total].every((total) => total === null || isCount(total)) &&
    (current === null || (typeof current === "string" && current.length <= MAX_PATH_CHARS)) &&
    (space_shortage === null || isShortage(space_shortage));
  return valid ? { ...amounts, bytes_total, files_total, current, lost, space_shortage } : null;
}

function parseLosses(given: unknown): Losses | null {
  const { xattr, acl, setid, mode, time, name } = (given ?? {}) as Losses;
  const losses = { xattr, acl, setid, mode, time, name };
  return Object.values(losses).every(isCount) ? losses : null;
}

function isShortage(given: unknown): given is SpaceShortage {
  const shortage = (given ?? {}) as SpaceShortage;
  return isCount(shortage.wanted) && isCount(shortage.free);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
