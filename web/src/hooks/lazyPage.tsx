/** Parts of the page whose scripts come when they are needed; unlike React's `lazy` they survive a failure. */
import { type ComponentType, use } from "react";
import { ApiProblem } from "../api/problem";
import { t } from "../i18n";

type Load<P> = () => Promise<{ default: ComponentType<P> }>;

const LOAD_TIMEOUT_MS = 15_000;

interface FailedScript {
  load(): Promise<unknown>;
  forget(): void;
}

/** Scripts that did not come. */
const failedScripts = new Set<FailedScript>();

/** A component whose script is fetched when it is drawn first. One that does not come is a problem to show. */
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

/** Who comes to a page anew asks for its script anew. */
export function forgetFailures(): void {
  for (const one of failedScripts) one.forget();
  failedScripts.clear();
}

/**
 * Asks once more for what is lacking. Where it still does not come though the console answers, it was published
 * anew under other names, or the browser remembers the failure: then the document is loaded anew.
 */
export async function retryFailedScripts(reload = () => window.location.reload()): Promise<void> {
  const asked = [...failedScripts].map((one) => one.load());
  failedScripts.clear();
  const answers = await Promise.allSettled(asked);
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
