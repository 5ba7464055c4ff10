/** Which lines to the broker stand: from that, pages know how soon to ask the API again. */

const lines = {
  /** Which transfers change. */
  news: false,
  /** What hops say of their progress; null where nobody wants to know. */
  progress: null as boolean | null,
};

export function stands(line: "news", yes: boolean): void;
export function stands(line: "progress", yes: boolean | null): void;
export function stands(line: keyof typeof lines, yes: boolean | null): void {
  Object.assign(lines, { [line]: yes });
}

/** Is all that a page shows of transfers told by itself, for now? */
export function isTold(): boolean {
  return lines.news && lines.progress !== false;
}
