import Button from "@cloudscape-design/components/button";
import { Timeline } from "../../components/Timeline";
import { useAudit } from "../../hooks/queries";
import { t } from "../../i18n";
import { hrefWith } from "../../router";

const LATEST = 10;
const DAYS = 30;

/** Latest audit records of an agent, for administrators. */
export function AgentHistory({ agentId }: { agentId: string }) {
  const query = useAudit({ by: "agent", value: agentId, days: DAYS });
  const records = query.data?.pages[0]?.records.slice(0, LATEST).reverse() ?? [];
  const all = hrefWith("audit", { by: "agent", value: agentId, days: String(DAYS) });
  return (
    <Timeline
      entries={records.map(({ at, who, action, about }) => ({ at, by: who, what: `${action}: ${about}` }))}
      actions={<Button href={all}>{t().agent.audit}</Button>}
      loading={query.isPending}
      empty={query.isError ? t().common.notLoaded : undefined}
    />
  );
}
