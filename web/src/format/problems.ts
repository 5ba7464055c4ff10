/** Translate problems of the API and the agents, and turn them into notices. */
import { asProblem } from "../api/problem";
import { t } from "../i18n";
import type { Problem } from "../types";
import { safeText } from "./names";

/** A message in the bar above every page. */
export interface Notice {
  type: "success" | "error" | "warning";
  header: string;
  content?: string;
}

/** A problem of an agent, or of the API, before it is put into words. */
export type Reported = Pick<Problem, "code" | "message" | "advice"> &
  Partial<Pick<Problem, "path" | "wording" | "parameters">>;

/** A problem in the console's language; what has no translation is in the original English. */
export interface ProblemWords {
  /** Undefined in English, where the message says it all. */
  title?: string;
  message: string;
  advice: string;
  /** The language of message and advice, where it is not the console's. */
  lang?: "en";
}

export function problemWords({
  code,
  message,
  advice,
  path,
  wording = "",
  parameters,
}: Reported): ProblemWords {
  const { title, words } = t().reported;
  const translated = words(wording, { ...parameters, ...(path ? { path } : {}), ...stateIn(parameters) });
  if (translated) return { title: title(code), ...translated };
  const original = title(code);
  return { title: original, message, advice, lang: original === undefined ? undefined : "en" };
}

/** Return the state that a message names, as the console names it. */
function stateIn(parameters: Readonly<Record<string, string>> = {}): { state?: string } {
  const states: Readonly<Record<string, string>> = t().states;
  const { state = "" } = parameters;
  return Object.hasOwn(states, state) ? { state: states[state] } : {};
}

/** Return message and advice of a problem as text. */
export function problemText(problem: Reported): string {
  const { message, advice } = problemWords(problem);
  return safeText(`${message} ${advice}`.trim());
}

/** Return a failed request as a notice. */
export function noticeFrom(error: unknown): Notice {
  const problem = asProblem(error);
  const { title = problem.title } = problemWords(problem.reported);
  return { type: "error", header: safeText(title), content: problemText(problem.reported) };
}
