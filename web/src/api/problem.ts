/** Errors that people get to read: RFC 9457 problem details, also for what never reached the API. */

import { t } from "../i18n";
import type { ProblemDetails } from "../types";

/** A request that does not fit the API's description, of which people who fill a form in need not know. */
const VALIDATION_PROBLEM = "urn:crosshaul:problem:misfit";

export interface FieldError {
  at: string;
  message: string;
}

export class ApiProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly advice: string;
  readonly errors: FieldError[];
  /** Those that forbid it, by name. */
  readonly policies: readonly string[];

  constructor(given: Partial<ProblemDetails> & { title: string }) {
    super(given.detail || given.title);
    this.name = "ApiProblem";
    this.status = given.status ?? 0;
    this.code = (given.type ?? "").replace(/^urn:crosshaul:problem:/, "");
    this.title = given.title;
    this.detail = given.detail ?? "";
    this.advice = given.advice ?? "";
    this.policies = given.policies ?? [];
    this.errors = (given.errors ?? []).map((one) => ({
      at: String(one.at ?? ""),
      message: String(one.message ?? ""),
    }));
  }

  /** Would the same request, sent again, have a chance? */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }

  /** Has it already been waited for long enough? */
  get timedOut(): boolean {
    return this.code === TIMED_OUT;
  }
}

/** The problem an answer carries, or one made from its status when it carries none. */
export async function problemFrom(response: Response): Promise<ApiProblem> {
  const body: unknown = await response.json().catch(() => null);
  if (isDetails(body)) {
    return new ApiProblem({
      ...body,
      ...(body.type === VALIDATION_PROBLEM && validationProblem()),
      status: response.status,
    });
  }
  return new ApiProblem({
    status: response.status,
    title: t().problems.apiError,
    detail: `${response.status} ${response.statusText}`.trim(),
    advice: response.status >= 500 ? t().problems.retrySoon : "",
  });
}

/** Each place is said in `errors`. */
function validationProblem(): Partial<ProblemDetails> {
  return { title: t().problems.invalidInput, detail: "", advice: t().problems.correctInput };
}

function isDetails(body: unknown): body is ProblemDetails {
  return typeof body === "object" && body !== null && typeof (body as ProblemDetails).title === "string";
}

const TIMED_OUT = "unanswered";

/** What `fetch` threw while it spoke to `what`. Pages try again by themselves to read, and nothing else. */
export function unansweredProblem(
  error: unknown,
  what: string,
  advice = t().problems.retriesAutomatically,
): ApiProblem {
  const {
    timedOut: unanswered,
    timedOutDetail: noAnswerInTime,
    unreachable,
    noResponse: noAnswer,
  } = t().problems;
  return error instanceof Error && error.name === "TimeoutError"
    ? new ApiProblem({ type: TIMED_OUT, title: unanswered(what), detail: noAnswerInTime, advice })
    : new ApiProblem({ title: unreachable(what), detail: noAnswer, advice });
}

/** Whatever was thrown, as a problem. */
export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) {
    return error;
  }
  const detail = error instanceof Error ? error.message : String(error);
  return new ApiProblem({ title: t().problems.pageFailed, detail, advice: t().problems.reload });
}

/** What the API says about one field of the request; empty when it says nothing about it. */
export function errorAt(error: unknown, field: string): string {
  if (!(error instanceof ApiProblem)) {
    return "";
  }
  const about = error.errors.filter(
    ({ at }) => `${at}.`.startsWith(`body.${field}.`) || `${at}.`.startsWith(`${field}.`),
  );
  return about.map(({ message }) => message).join(" ");
}
