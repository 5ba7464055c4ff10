import I18nProvider from "@cloudscape-design/components/i18n";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useMemo, useSyncExternalStore } from "react";
import { createApi } from "./api/client";
import { ErrorBoundary } from "./components/ErrorBoundary";
import { Loading } from "./components/Loading";
import { ProblemAlert } from "./components/ProblemAlert";
import { loadSettings, type Settings } from "./config";
import { lazyPage } from "./hooks/lazyPage";
import { t, useLanguage } from "./i18n";
import { SignInPage } from "./pages/SignInPage";
import { createSession, wasSignedIn } from "./session/session";

const loadConsole = () => import("./shell/Console");
const Console = lazyPage(loadConsole);
// After a reload while signed in, fetch the console's script in parallel with the settings.
if (wasSignedIn()) loadConsole().catch(() => undefined);

export function App() {
  const { language, cloudscape: parts } = useLanguage();
  return (
    <I18nProvider locale={language} messages={[parts]}>
      <SettingsGate />
    </I18nProvider>
  );
}

function SettingsGate() {
  const query = useQuery({
    queryKey: ["settings"],
    queryFn: loadSettings,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (query.data) return <SessionGate settings={query.data} />;
  return (
    <main className="sign-in">
      {query.isError ? (
        <ProblemAlert error={query.error} onRetry={() => query.refetch()} />
      ) : (
        <Loading what={t().common.console} />
      )}
    </main>
  );
}

/** Show the console to signed-in people, and the sign-in page to everyone else. */
function SessionGate({ settings }: { settings: Settings }) {
  const session = useMemo(() => createSession(settings.signIn), [settings]);
  const api = useMemo(() => createApi(settings.apiUrl, session), [settings, session]);
  const { claims, ending } = useSyncExternalStore(session.subscribe, session.snapshot);
  const queries = useQueryClient();
  const user = claims?.id;
  useEffect(() => {
    // Data of one person must not be visible to the next person who signs in here.
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
