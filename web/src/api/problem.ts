/** Errors shown to people: RFC 9457 problem details, also for requests that never reached the API. */

import { t } from "../i18n";
import type { ProblemDetails } from "../types";

/** Type of the problem for a request that does not match the API's schema. */
const VALIDATION_PROBLEM = "urn:crosshaul:problem:invalid-body";

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
  readonly wording: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly errors: FieldError[];
  /** Names of the policies that forbid the request. */
  readonly policies: readonly string[];

  constructor(given: Partial<ProblemDetails> & { title: string }) {
    super(given.detail || given.title);
    this.name = "ApiProblem";
    this.status = given.status ?? 0;
    this.code = (given.type ?? "").replace(/^urn:crosshaul:problem:/, "");
    this.title = given.title;
    this.detail = given.detail ?? "";
    this.advice = given.advice ?? "";
    this.wording = given.wording ?? "";
    this.parameters = given.parameters ?? {};
    this.policies = given.policies ?? [];
    this.errors = (given.errors ?? []).map(fieldError);
  }

  /** The problem as agents report theirs, to be put into words. */
  get reported() {
    const { code, detail: message, advice, wording, parameters } = this;
    return { code, message, advice, wording, parameters };
  }

  /** Whether the same request may succeed when it is sent again. */
  get transient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }

  /** Whether the request ended with a timeout of this client. */
  get timedOut(): boolean {
    return this.code === TIMED_OUT;
  }
}

/** Return an error in a field in the console's language, or in the original English. */
function fieldError(given: Record<string, unknown>): FieldError {
  const { at, message, wording, parameters } = given;
  const translated = t().reported.input(String(wording ?? ""), (parameters ?? {}) as Record<string, string>);
  return { at: String(at ?? ""), message: translated ?? String(message ?? "") };
}

/** Return the problem in a response, or one made from its status. */
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

/** Return title and advice of a validation problem; `errors` names each field. */
function validationProblem(): Partial<ProblemDetails> {
  return { title: t().problems.invalidInput, detail: "", advice: t().problems.correctInput, wording: "" };
}

function isDetails(body: unknown): body is ProblemDetails {
  return typeof body === "object" && body !== null && typeof (body as ProblemDetails).title === "string";
}

const TIMED_OUT = "unanswered";

/**
 * Return the problem for an error thrown by `fetch` while calling `what`. Pages retry reads, and only reads.
 */
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

/** Return any thrown value as a problem. */
export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) {
    return error;
  }
  const detail = error instanceof Error ? error.message : String(error);
  return new ApiProblem({ title: t().problems.pageFailed, detail, advice: t().problems.reload });
}

/** Return the API's error messages about one field of the request, or an empty string. */
export function errorAt(error: unknown, field: string): string {
  if (!(error instanceof ApiProblem)) {
    return "";
  }
  const about = error.errors.filter(
    ({ at }) => `${at}.`.startsWith(`body.${field}.`) || `${at}.`.startsWith(`${field}.`),
  );
  return about.map(({ message }) => message).join(" ");
}
