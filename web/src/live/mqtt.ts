/** The only import of mqtt.js, in a chunk of its own: it is fetched when something is to be watched. */
import mqtt, { type MqttClient } from "mqtt";
import type { LiveAddress } from "../types";

interface Handlers {
  onSubscribed(): void;
  onMessage(payload: Uint8Array): void;
  onClose(): void;
}

/** So often the broker is asked whether it is there; it is not when two such questions have got no answer. */
const PING_INTERVAL_MS = 5_000;
const MAX_UNANSWERED_PINGS = 2;

/** One connection. It does not reconnect by itself: its address is good for one short time only. */
export function open(place: LiveAddress, handlers: Handlers): MqttClient {
  const client = mqtt.connect(place.url, {
    clientId: place.client_id,
    protocolVersion: 5,
    clean: true,
    keepalive: 30,
    connectTimeout: 10_000,
    reconnectPeriod: 0,
    // mqtt.js would keep its time in a worker made from a blob, which the content security policy forbids.
    timerVariant: "native",
  });
  client.on("connect", () => {
    client.subscribe([...place.topics], { qos: 0 }, (error, grants) => {
      const refused = error || grants?.some((grant) => grant.qos >= 0x80);
      refused ? client.end(true) : handlers.onSubscribed();
    });
  });
  const stop = startPing(client);
  client.on("message", (_topic, payload) => handlers.onMessage(payload));
  client.on("error", () => client.end(true));
  client.once("close", () => {
    stop();
    handlers.onClose();
  });
  return client;
}

/**
 * Ends a connection on which nothing comes any more. Keep-alive would do it too late: IoT Core makes it 30 s at
 * least, and then half as much is waited for the answer. Counted in questions: a hidden page's clock is slow.
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
