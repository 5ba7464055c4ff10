// A fake broker inside the page, for load tests: grants every subscription, and sends what `__hear` is given, on its topic.
// Just enough of MQTT 5 (https://docs.oasis-open.org/mqtt/mqtt/v5.0/) for one subscriber.
(() => {
  const Real = window.WebSocket;
  const sockets = new Set();
  class Broker extends EventTarget {
    binaryType = "arraybuffer";
    readyState = 0;
    bufferedAmount = 0;
    protocol = "mqtt";
    constructor(url) {
      super();
      this.url = url;
      setTimeout(() => {
        this.readyState = 1;
        this.tell("open", new Event("open"));
      }, 0);
    }
    tell(name, event) {
      this[`on${name}`]?.(event);
      this.dispatchEvent(event);
    }
    say(...bytes) {
      this.tell("message", new MessageEvent("message", { data: new Uint8Array(bytes).buffer }));
    }
    send(data) {
      const bytes = new Uint8Array(data.buffer ?? data);
      const kind = bytes[0] >> 4;
      const skip = bytes.findIndex((byte, at) => at > 0 && byte < 128) + 1;
      if (kind === 1) this.say(0x20, 3, 0, 0, 0);
      if (kind === 12) this.say(0xd0, 0);
      if (kind === 8) {
        this.say(0x90, 4, bytes[skip], bytes[skip + 1], 0, 0);
        sockets.add(this);
      }
    }
    close() {
      this.readyState = 3;
      sockets.delete(this);
      this.tell("close", new CloseEvent("close"));
    }
  }
  Object.assign(Broker, { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 });
  window.WebSocket = new Proxy(Real, {
    construct: (_, [url, ...more]) =>
      String(url).includes("/mqtt") ? new Broker(url) : new Real(url, ...more),
  });
  window.__hear = (text, on) => {
    const topic = new TextEncoder().encode(on);
    const payload = new TextEncoder().encode(text);
    const length = 2 + topic.length + 1 + payload.length;
    const size = length < 128 ? [length] : [(length % 128) | 128, length >> 7];
    for (const socket of sockets) socket.say(0x30, ...size, 0, topic.length, ...topic, 0, ...payload);
  };
})();
