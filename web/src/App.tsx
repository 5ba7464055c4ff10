import I18nProvider from "@cloudscape-design/components/i18n";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useMemo, useSyncExternalStore } from "react";
import { createApi } from "./api/client";
import { ErrorBoundary } from "./components/ErrorBoundary";
import { Loading } from "./components/Loading";
import { ProblemAlert } from "./components/ProblemAlert";
import { loadSettings, type Settings } from "./config";
import { lazyPage } from "./hooks/lazyPage";
import { t, useSpoken } from "./i18n";
import { SignInPage } from "./pages/SignInPage";
import { createSession, wasSignedIn } from "./session/session";

const arriving = () => import("./shell/Console");
const Console = lazyPage(arriving);
// Whoever was signed in before a reload need not wait for it twice.
if (wasSignedIn()) arriving().catch(() => undefined);

export function App() {
  const { language, parts } = useSpoken();
  return (
    <I18nProvider locale={language} messages={[parts]}>
      <Opening />
    </I18nProvider>
  );
}

function Opening() {
  const asked = useQuery({
    queryKey: ["settings"],
    queryFn: loadSettings,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (asked.data) return <Door settings={asked.data} />;
  return (
    <main className="sign-in">
      {asked.isError ? (
        <ProblemAlert error={asked.error} onRetry={() => asked.refetch()} />
      ) : (
        <Loading what={t().common.console} />
      )}
    </main>
  );
}

/** Signed in: the console. Not: the way in. */
function Door({ settings }: { settings: Settings }) {
  const session = useMemo(() => createSession(settings.signIn), [settings]);
  const api = useMemo(() => createApi(settings.apiUrl, session), [settings, session]);
  const { claims, ending } = useSyncExternalStore(session.subscribe, session.snapshot);
  const queries = useQueryClient();
  const user = claims?.id;
  useEffect(() => {
    // What one person saw is not for the next who signs in here.
    if (user === undefined) queries.removeQueries({ predicate: (query) => query.queryKey[0] !== "settings" });
  }, [user, queries]);
  if (!claims) return <SignInPage settings={settings} session={session} ending={ending} />;
  return (
    <ErrorBoundary title="Crosshaul" place="">
      <Suspense fallback={<Loading what={t().common.console} />}>
        <Console settings={settings} session={session} api={api} claims={claims} />
      </Suspense>
    </ErrorBoundary>
  );
}
