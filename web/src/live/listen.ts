/** Live progress straight from the broker: MQTT over WebSocket with a short-lived, narrowed address. */
import type { MqttClient } from "mqtt";
import type { Live, LiveAddress } from "../types";

export interface Listener {
  heard(live: Live): void;
  /** True once the broker granted the topics, false when the connection is gone. */
  connected(yes: boolean): void;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** Listen until `stop` is called; every new connection asks for a new address, since they expire. */
export function listen(address: () => Promise<LiveAddress>, listener: Listener): () => void {
  let client: MqttClient | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let pause = FIRST_PAUSE_MS;

  function again(): void {
    client = null;
    listener.connected(false);
    if (stopped) return;
    timer = setTimeout(connect, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }

  function granted(): void {
    pause = FIRST_PAUSE_MS;
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
    const live = readLive(payload);
    if (live && !stopped) listener.heard(live);
  }

  void connect();
  return () => {
    stopped = true;
    clearTimeout(timer);
    client?.end(true);
  };
}

/** The message, if it is one; what it is not is dropped, since the next one comes within a second. */
export function readLive(payload: Uint8Array): Live | null {
  try {
    const live = JSON.parse(new TextDecoder().decode(payload)) as Partial<Live>;
    const whole = typeof live.hop_id === "string" && typeof live.attempt === "number" && live.progress;
    return whole && typeof live.progress?.bytes_done === "number" ? (live as Live) : null;
  } catch {
    return null;
  }
}
