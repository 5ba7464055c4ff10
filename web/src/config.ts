/** Settings of the deployment: address of the API and sign-in. Loaded once, when the page opens. */
import { ApiProblem, problemFrom, unansweredProblem } from "./api/problem";
import { t } from "./i18n";
import type { Health, SignIn } from "./types";

export interface Settings {
  apiUrl: string;
  stage: string;
  version: string;
  signIn: SignIn;
}

/** Load the settings. Throws an ApiProblem that names which of the two addresses did not respond. */
export async function loadSettings(): Promise<Settings> {
  const { api_url } = await read<{ api_url?: string }>("./config.json", t().problems.config);
  if (!api_url) {
    throw notReady(t().problems.noApi);
  }
  const apiUrl = api_url.replace(/\/+$/, "");
  const health = await read<Health>(`${apiUrl}/health`, t().problems.api);
  if (!health.sign_in) {
    throw notReady(t().problems.noSignIn);
  }
  return { apiUrl, stage: health.stage, version: health.version, signIn: health.sign_in };
}

const LOAD_TIMEOUT_MS = 15_000;

async function read<T>(address: string, what: string): Promise<T> {
  const signal = AbortSignal.timeout(LOAD_TIMEOUT_MS);
  const init: RequestInit = { cache: "no-store", credentials: "omit", signal };
  const response = await fetch(address, init).catch((error: unknown) => {
    throw unansweredProblem(error, what);
  });
  if (!response.ok) {
    throw await problemFrom(response);
  }
  return response.json().catch(() => {
    throw notReady(t().problems.notPublished(what));
  });
}

function notReady(detail: string): ApiProblem {
  return new ApiProblem({
    title: t().problems.notSetUp,
    detail,
    advice: t().problems.publish,
  });
}
