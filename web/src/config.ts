/** Where the API is, and how people sign in there: asked once, when the page opens. */
import { ApiProblem, problemOf, unreachable } from "./api/problem";
import type { Health, SignIn } from "./types";

export interface Settings {
  apiUrl: string;
  stage: string;
  version: string;
  signIn: SignIn;
}

/** The deployed settings. Throws an ApiProblem that says which of the two addresses did not answer. */
export async function loadSettings(): Promise<Settings> {
  const { api_url } = await read<{ api_url?: string }>("./config.json", "The console's config.json");
  if (!api_url) {
    throw notReady("The console's config.json does not name the API.");
  }
  const apiUrl = api_url.replace(/\/+$/, "");
  const health = await read<Health>(`${apiUrl}/health`, "The API");
  if (!health.sign_in) {
    throw notReady("The API does not say how people sign in.");
  }
  return { apiUrl, stage: health.stage, version: health.version, signIn: health.sign_in };
}

async function read<T>(address: string, what: string): Promise<T> {
  const response = await fetch(address, { cache: "no-store", credentials: "omit" }).catch(() => {
    throw unreachable(what);
  });
  if (!response.ok) {
    throw await problemOf(response);
  }
  return response.json().catch(() => {
    throw notReady(`${what} is not there yet, or is not JSON.`);
  });
}

function notReady(detail: string): ApiProblem {
  return new ApiProblem({
    title: "The console is not set up",
    detail,
    advice: "Publish it again: `python -m infra.publish STAGE` writes config.json beside it.",
  });
}
