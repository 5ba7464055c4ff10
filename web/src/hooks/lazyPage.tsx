/**
 * Components whose scripts are loaded on demand. Unlike with React's `lazy`, a failed load can be retried.
 */
import { type ComponentType, use } from "react";
import { ApiProblem } from "../api/problem";
import { t } from "../i18n";

type Load<P> = () => Promise<{ default: ComponentType<P> }>;

const LOAD_TIMEOUT_MS = 15_000;

interface FailedScript {
  load(): Promise<unknown>;
  forget(): void;
}

/** Scripts that failed to load. */
const failedScripts = new Set<FailedScript>();

/** Return a component whose script is fetched on first render. A failed load throws an ApiProblem. */
export function lazyPage<P extends object>(load: Load<P>): ComponentType<P> {
  let script: ReturnType<Load<P>> | undefined;
  function fetched(): ReturnType<Load<P>> {
    script = load().catch((): never => {
      failedScripts.add({ load: fetched, forget: () => (script = undefined) });
      throw scriptProblem();
    });
    return script;
  }
  return function LazyPage(props: P) {
    const { default: Part } = use(script ?? fetched());
    return <Part {...props} />;
  };
}

/** Forget failed loads, so that the next render fetches the scripts again. */
export function forgetFailures(): void {
  for (const one of failedScripts) one.forget();
  failedScripts.clear();
}

/**
 * Retry failed scripts. If they fail again although the console is reachable, reload the document: a new
 * version may have other file names, or the browser may have cached the failure.
 */
export async function retryFailedScripts(reload = () => window.location.reload()): Promise<void> {
  const loading = [...failedScripts].map((one) => one.load());
  failedScripts.clear();
  const answers = await Promise.allSettled(loading);
  if (answers.some(({ status }) => status === "rejected") && (await isConsoleReachable())) reload();
}

function isConsoleReachable(): Promise<boolean> {
  return fetch("./", { cache: "no-store", signal: AbortSignal.timeout(LOAD_TIMEOUT_MS) }).then(
    ({ ok }) => ok,
    () => false,
  );
}

function scriptProblem(): ApiProblem {
  const {
    scriptFailed: script,
    scriptFailedDetail: scriptWhy,
    scriptFailedAdvice: scriptAgain,
  } = t().problems;
  return new ApiProblem({ title: script, detail: scriptWhy, advice: scriptAgain });
}
