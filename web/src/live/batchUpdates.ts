/** What comes singly, handed on together. */

/** The first at once; what follows it waits until that was dealt with, and for so long at least. */
export function batchUpdates<T>(pause: number, handOn: (things: T[]) => Promise<void> | void) {
  let waiting: T[] = [];
  let busy = false;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function tell(): Promise<void> {
    if (stopped || waiting.length === 0) {
      busy = false;
      return;
    }
    const things = waiting;
    waiting = [];
    await handOn(things);
    if (!stopped) timer = setTimeout(tell, pause);
  }

  return {
    add(thing: T) {
      waiting.push(thing);
      if (busy) return;
      busy = true;
      timer = setTimeout(tell, 0);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
