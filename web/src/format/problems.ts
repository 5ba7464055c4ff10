/** Translate problems of the API and the agents, and turn them into notices. */
import { asProblem } from "../api/problem";
import { t } from "../i18n";
import { safeText } from "./names";

/** A message in the bar above every page. */
export interface Notice {
  type: "success" | "error" | "warning";
  header: string;
  content?: string;
}

/** Return the translated title and advice for a problem code, if there are any. */
export function translatedProblem(code: string): { what?: string; advice?: string } {
  const [what, advice] = t().reported.problem(code) ?? [];
  return { what, advice };
}

/** Return a failed request as a notice. */
export function noticeFrom(error: unknown): Notice {
  const { code, title, detail, advice } = asProblem(error);
  const own = translatedProblem(code);
  const content = [detail, own.advice ?? advice].filter(Boolean).join(" ");
  return { type: "error", header: safeText(own.what ?? title), content: safeText(content) };
}
