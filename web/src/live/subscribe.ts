/** What the broker tells: MQTT over WebSocket with a short-lived, narrowed address. */
import type { MqttClient } from "mqtt";
import type { LiveAddress } from "../types";

export interface Listener<T> {
  heard(message: T): void;
  /** True once the broker granted the topics, false when the connection is gone. */
  connected(yes: boolean): void;
}

const INITIAL_RETRY_DELAY_MS = 1_000;
const MAX_RETRY_DELAY_MS = 30_000;

/**
 * Listen until `stop` is called; every new connection asks for a new address, since they expire. What `read` makes
 * nothing of is dropped.
 */
export function subscribe<T>(
  address: () => Promise<LiveAddress>,
  read: (payload: Uint8Array) => T | null,
  listener: Listener<T>,
): () => void {
  let client: MqttClient | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let pause = INITIAL_RETRY_DELAY_MS;

  function again(): void {
    client = null;
    if (stopped) return; // whoever stopped it knows
    listener.connected(false);
    timer = setTimeout(connect, pause);
    pause = Math.min(pause * 2, MAX_RETRY_DELAY_MS);
  }

  function granted(): void {
    pause = INITIAL_RETRY_DELAY_MS;
    listener.connected(true);
  }

  async function connect(): Promise<void> {
    try {
      const [{ open }, place] = await Promise.all([import("./mqtt"), address()]);
      if (stopped) return;
      client = open(place, { granted, heard: deliver, closed: again });
    } catch {
      again();
    }
  }

  function deliver(payload: Uint8Array): void {
    const message = read(payload);
    if (message && !stopped) listener.heard(message);
  }

  void connect();
  return () => {
    stopped = true;
    clearTimeout(timer);
    client?.end(true);
  };
}

/** The message's JSON, of which nothing is certain yet; null if it has none. */
export function jsonIn<T>(payload: Uint8Array): Partial<T> | null {
  try {
    return JSON.parse(new TextDecoder().decode(payload)) as Partial<T> | null;
  } catch {
    return null;
  }
}
