import Button from "@cloudscape-design/components/button";
import { useAudit } from "../../api/queries";
import { Timeline } from "../../parts/Timeline";
import { hrefWith } from "../../router";
import { t } from "../../words";

const LATEST = 10;
const DAYS = 30;

/** What was done to an agent and with it, as the audit has it: for those who may read that. */
export function Past({ agentId }: { agentId: string }) {
  const asked = useAudit({ by: "agent", value: agentId, days: DAYS });
  const records = asked.data?.pages[0]?.records.slice(0, LATEST).reverse() ?? [];
  const all = hrefWith("audit", { by: "agent", value: agentId, days: String(DAYS) });
  return (
    <Timeline
      moments={records.map(({ at, who, action, about }) => ({ at, by: who, what: `${action}: ${about}` }))}
      actions={<Button href={all}>{t().agent.audit}</Button>}
      loading={asked.isPending}
      empty={asked.isError ? t().common.notLoaded : undefined}
    />
  );
}
