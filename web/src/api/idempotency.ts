/** Idempotency keys: the same request has the same key until it has succeeded. */

/** Return 128 random bits as hex. Works without a secure context, unlike `crypto.randomUUID`. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export interface IdempotentRequest {
  /** Return the key to send `body` with: the last key while the body is unchanged, otherwise a new one. */
  keyFor(body: unknown): string;
  /** Mark the request as succeeded: the same body sent again is a new request. */
  completed(): void;
}

export function createIdempotentRequest(): IdempotentRequest {
  let last: { text: string; key: string } | null = null;
  return {
    keyFor(body) {
      const text = JSON.stringify(body);
      if (last?.text !== text) {
        last = { text, key: newKey() };
      }
      return last.key;
    },
    completed() {
      last = null;
    },
  };
}
