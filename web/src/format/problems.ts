/** What went wrong, in the words of the page where it has any, and in those of the API or an agent. */
import { asProblem } from "../api/problem";
import { t } from "../i18n";
import { safeText } from "./names";

/** A message in the bar above every page. */
export interface Notice {
  type: "success" | "error" | "warning";
  header: string;
  content?: string;
}

/** What the page itself calls this kind of problem, and advises. */
export function translatedProblem(code: string): { what?: string; advice?: string } {
  const [what, advice] = t().reported.problem(code) ?? [];
  return { what, advice };
}

/** A failed wish, as a notice. */
export function noticeFrom(error: unknown): Notice {
  const { code, title, detail, advice } = asProblem(error);
  const own = translatedProblem(code);
  const content = [detail, own.advice ?? advice].filter(Boolean).join(" ");
  return { type: "error", header: safeText(own.what ?? title), content: safeText(content) };
}
