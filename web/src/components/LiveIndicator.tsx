import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { duration } from "../format/sizes";
import { useNow } from "../hooks/useNow";
import { t } from "../i18n";
import { STALE_AFTER_MS } from "../live/mergeProgress";

/** After so long without a connection it is no longer just being made. */
const CONNECT_GRACE_MS = 6_000;

/** Does the broker speak to this page, or does it have to ask again and again; and does anybody answer? */
export function LiveIndicator({ live }: { live: boolean }) {
  const sinceResponse = useNow() - useLastResponse();
  const [disconnected, setDeaf] = useState(false);
  useEffect(() => {
    if (live) return setDeaf(false);
    const timer = setTimeout(() => setDeaf(true), CONNECT_GRACE_MS);
    return () => clearTimeout(timer);
  }, [live]);
  if (live) return <StatusIndicator type="success">{t().live.live}</StatusIndicator>;
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

/** When the API has last answered anything that the page shows. */
function useLastResponse(): number {
  const shown = useQueryClient().getQueryCache().findAll({ type: "active" });
  return Math.max(...shown.map(({ state }) => state.dataUpdatedAt));
}
