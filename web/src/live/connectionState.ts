/** State of the broker connections, from which queries choose their polling interval. */

const connections = {
  /** The feed of changed transfers and agents. */
  changes: false,
  /** Live progress of hops; null while no page subscribes to it. */
  progress: null as boolean | null,
};

export function markConnected(channel: "changes", yes: boolean): void;
export function markConnected(channel: "progress", yes: boolean | null): void;
export function markConnected(channel: keyof typeof connections, yes: boolean | null): void {
  Object.assign(connections, { [channel]: yes });
}

/** Return whether the broker reports changes of agents, so that slow polling is enough. */
export function hasAgentNews(): boolean {
  return connections.changes;
}

/** Return whether the broker reports every change of transfers, so that slow polling is enough. */
export function hasChangeFeed(): boolean {
  return connections.changes && connections.progress !== false;
}
