/** Which lines to the broker stand: from that, pages know how soon to ask the API again. */

const connections = {
  /** Which transfers change. */
  changes: false,
  /** What hops say of their progress; null where nobody wants to know. */
  progress: null as boolean | null,
};

export function markConnected(channel: "changes", yes: boolean): void;
export function markConnected(channel: "progress", yes: boolean | null): void;
export function markConnected(channel: keyof typeof connections, yes: boolean | null): void {
  Object.assign(connections, { [channel]: yes });
}

/** Is all that a page shows of transfers told by itself, for now? */
export function hasChangeFeed(): boolean {
  return connections.changes && connections.progress !== false;
}
