/**
 * Subscribe to the broker: MQTT over WebSocket, with a short-lived address that permits only these topics.
 */
import type { MqttClient } from "mqtt";
import { asProblem } from "../api/problem";
import type { LiveAddress } from "../types";

export interface Listener<T> {
  onMessage(message: T): void;
  /** Called with true once the broker granted the topics, and with false when the connection is lost. */
  onConnectionChange(yes: boolean): void;
}

const INITIAL_RETRY_DELAY_MS = 1_000;
const MAX_RETRY_DELAY_MS = 30_000;

/**
 * Subscribe and reconnect until the returned function is called, or the address is refused. Each connection
 * fetches a new address, since addresses expire. Messages for which `read` returns null are dropped.
 */
export function subscribe<T>(
  address: () => Promise<LiveAddress>,
  read: (payload: Uint8Array, topic: string) => T | null,
  listener: Listener<T>,
): () => void {
  let client: MqttClient | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let delay = INITIAL_RETRY_DELAY_MS;

  function reconnect(): void {
    client = null;
    if (stopped) return; // the caller stopped it and needs no notice
    listener.onConnectionChange(false);
    timer = setTimeout(connect, delay);
    delay = Math.min(delay * 2, MAX_RETRY_DELAY_MS);
  }

  function onSubscribed(): void {
    delay = INITIAL_RETRY_DELAY_MS;
    listener.onConnectionChange(true);
  }

  async function connect(): Promise<void> {
    try {
      const [{ open }, place] = await Promise.all([import("./mqtt"), address()]);
      if (stopped) return;
      client = open(place, { onSubscribed, onMessage, onClose: reconnect });
    } catch (error) {
      if (asProblem(error).status !== 403) reconnect();
      else if (!stopped) listener.onConnectionChange(false);
    }
  }

  function onMessage(payload: Uint8Array, topic: string): void {
    const message = read(payload, topic);
    if (message && !stopped) listener.onMessage(message);
  }

  void connect();
  return () => {
    stopped = true;
    clearTimeout(timer);
    client?.end(true);
  };
}

/** Parse a message as JSON without validating its fields. Return null if it is not JSON. */
export function parseJson<T>(payload: Uint8Array): Partial<T> | null {
  try {
    return JSON.parse(new TextDecoder().decode(payload)) as Partial<T> | null;
  } catch {
    return null;
  }
}
