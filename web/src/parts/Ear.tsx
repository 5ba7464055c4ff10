import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useNow } from "../clock";
import { duration } from "../format/sizes";
import { QUIET_MS } from "../live/merge";
import { t } from "../words";

/** After so long without a connection it is no longer just being made. */
const PATIENCE_MS = 6_000;

/** Does the broker speak to this page, or does it have to ask again and again; and does anybody answer? */
export function Ear({ live }: { live: boolean }) {
  const silent = useNow() - useAnswered();
  const [deaf, setDeaf] = useState(false);
  useEffect(() => {
    if (live) return setDeaf(false);
    const timer = setTimeout(() => setDeaf(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [live]);
  if (live) return <StatusIndicator type="success">{t().live.live}</StatusIndicator>;
  if (silent > QUIET_MS) {
    return <StatusIndicator type="warning">{t().live.silent(duration(silent / 1000))}</StatusIndicator>;
  }
  return (
    <StatusIndicator type={deaf ? "warning" : "info"}>
      {deaf ? t().live.polling : t().live.connecting}
    </StatusIndicator>
  );
}

/** When the API has last answered anything that the page shows. */
function useAnswered(): number {
  const shown = useQueryClient().getQueryCache().findAll({ type: "active" });
  return Math.max(...shown.map(({ state }) => state.dataUpdatedAt));
}
