import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useEffect, useState } from "react";
import { t } from "../words";

/** After so long without a connection it is no longer just being made. */
const PATIENCE_MS = 6_000;

/** Does the broker speak to this page, or does it have to ask again and again? */
export function Ear({ live }: { live: boolean }) {
  const [deaf, setDeaf] = useState(false);
  useEffect(() => {
    if (live) return setDeaf(false);
    const timer = setTimeout(() => setDeaf(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [live]);
  if (live) return <StatusIndicator type="success">{t().live.live}</StatusIndicator>;
  return (
    <StatusIndicator type={deaf ? "warning" : "info"}>
      {deaf ? t().live.polling : t().live.connecting}
    </StatusIndicator>
  );
}
