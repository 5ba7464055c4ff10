/** Collect single messages and deliver them in batches. */

/** Deliver the first item at once, and later ones after the previous delivery and at least `intervalMs`. */
export function batchUpdates<T>(intervalMs: number, deliver: (items: T[]) => Promise<void> | void) {
  let pending: T[] = [];
  let busy = false;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function flush(): Promise<void> {
    if (stopped || pending.length === 0) {
      busy = false;
      return;
    }
    const batch = pending;
    pending = [];
    await deliver(batch);
    if (!stopped) timer = setTimeout(flush, intervalMs);
  }

  return {
    add(item: T) {
      pending.push(item);
      if (busy) return;
      busy = true;
      timer = setTimeout(flush, 0);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
