import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { duration } from "../format/sizes";
import { useNow } from "../hooks/useNow";
import { t } from "../i18n";
import { STALE_AFTER_MS } from "../live/mergeProgress";

/** Milliseconds without a connection after which it counts as failed instead of connecting. */
const CONNECT_GRACE_MS = 6_000;

/** Show whether the page is connected to the broker, polls the API, or gets no response. */
export function LiveIndicator({ live }: { live: boolean }) {
  const sinceResponse = useNow() - useLastResponse();
  const [disconnected, setDeaf] = useState(false);
  useEffect(() => {
    if (live) return setDeaf(false);
    const timer = setTimeout(() => setDeaf(true), CONNECT_GRACE_MS);
    return () => clearTimeout(timer);
  }, [live]);
  if (live) return <StatusIndicator type="info">{t().live.live}</StatusIndicator>;
  if (sinceResponse > STALE_AFTER_MS) {
    return (
      <StatusIndicator type="warning">{t().live.noResponse(duration(sinceResponse / 1000))}</StatusIndicator>
    );
  }
  return (
    <StatusIndicator type={disconnected ? "warning" : "info"}>
      {disconnected ? t().live.polling : t().live.connecting}
    </StatusIndicator>
  );
}

/** Return when the API last answered a query of this page, in milliseconds since 1970. */
function useLastResponse(): number {
  const shown = useQueryClient().getQueryCache().findAll({ type: "active" });
  return Math.max(...shown.map(({ state }) => state.dataUpdatedAt));
}
