/** The only module that imports mqtt.js, so that its chunk is loaded only for live updates. */
import mqtt, { type MqttClient } from "mqtt";
import type { LiveAddress } from "../types";

interface Handlers {
  onSubscribed(): void;
  onMessage(payload: Uint8Array, topic: string): void;
  onClose(): void;
}

/**
 * Interval of pings in milliseconds, and how many may stay unanswered before the connection counts as dead.
 */
const PING_INTERVAL_MS = 5_000;
const MAX_UNANSWERED_PINGS = 2;

/** Open one connection. It does not reconnect, since its signed address expires soon. */
export function open(place: LiveAddress, handlers: Handlers): MqttClient {
  const client = mqtt.connect(place.url, {
    clientId: place.client_id,
    protocolVersion: 5,
    clean: true,
    keepalive: 30,
    connectTimeout: 10_000,
    reconnectPeriod: 0,
    // By default mqtt.js runs timers in a blob worker, which the content security policy forbids.
    timerVariant: "native",
  });
  client.on("connect", () => {
    client.subscribe([...place.topics], { qos: 0 }, (error, grants) => {
      const refused = error || grants?.some((grant) => grant.qos >= 0x80);
      refused ? client.end(true) : handlers.onSubscribed();
    });
  });
  const stop = startPing(client);
  client.on("message", (topic, payload) => handlers.onMessage(payload, topic));
  client.on("error", () => client.end(true));
  client.once("close", () => {
    stop();
    handlers.onClose();
  });
  return client;
}

/**
 * Close a dead connection. Keep-alive would notice too late: IoT Core's minimum is 30 s, plus half of it
 * for the answer. Counts unanswered pings instead of seconds, since timers of hidden pages are slow.
 */
function startPing(client: MqttClient): () => void {
  let unanswered = 0;
  client.on("packetreceive", () => {
    unanswered = 0;
  });
  const timer = setInterval(() => {
    unanswered += 1;
    if (unanswered > MAX_UNANSWERED_PINGS) client.end(true);
    else if (client.connected) client.sendPing();
  }, PING_INTERVAL_MS);
  return () => clearInterval(timer);
}
