/** Idempotency keys: the same wish has the same key until it has been granted. */

/** 128 random bits; works without a secure context, where `crypto.randomUUID` does not. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export interface IdempotentRequest {
  /** The key to send `body` with: the last one while the body stays the same, a new one otherwise. */
  keyFor(body: unknown): string;
  /** It was granted: the same body again is a new wish. */
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
