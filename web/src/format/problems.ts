/** What went wrong, in the words of the page where it has any, and in those of the API or an agent. */
import { asProblem } from "../api/problem";
import type { Notice } from "../appContext";
import { t } from "../i18n";
import { shown } from "./names";

/** What the page itself calls this kind of problem, and advises. */
export function ownWords(code: string): { what?: string; advice?: string } {
  const [what, advice] = t().said.problem(code) ?? [];
  return { what, advice };
}

/** A failed wish, as a notice. */
export function noticeOf(error: unknown): Notice {
  const { code, title, detail, advice } = asProblem(error);
  const own = ownWords(code);
  const content = [detail, own.advice ?? advice].filter(Boolean).join(" ");
  return { type: "error", header: shown(own.what ?? title), content: shown(content) };
}
