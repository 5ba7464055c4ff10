import Alert from "@cloudscape-design/components/alert";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { DecisionBadge } from "../../components/DecisionBadge";
import { Name, When } from "../../components/text";
import { actorName, safeText } from "../../format/names";
import { count } from "../../format/sizes";
import { t } from "../../i18n";
import { href } from "../../router";
import type { DryRun } from "../../types";

type Changed = DryRun["changed"][number];

/** Table of past transfers that would be decided differently. */
export function Effect({ effect, stale }: { effect: DryRun; stale: boolean }) {
  const labels = t().policy;
  return (
    <Table
      header={
        <>
          <Header
            counter={`(${count(effect.changed.length)})`}
            description={labels.checked(effect.checked, count(effect.checked))}
          >
            {labels.effect}
          </Header>
          {stale && <Alert type="warning">{labels.stale}</Alert>}
          {!effect.complete && <Alert type="info">{labels.incomplete}</Alert>}
        </>
      }
      items={[...effect.changed]}
      trackBy="transfer_id"
      columnDefinitions={columns()}
      wrapLines
      empty={labels.noEffect}
      ariaLabels={{ tableLabel: labels.effect }}
    />
  );
}

const columns = (): TableProps.ColumnDefinition<Changed>[] => [
  {
    id: "transfer",
    header: t().transfers.transfer,
    isRowHeader: true,
    cell: ({ transfer_id }) => <Link href={href("transfers", transfer_id)}>{transfer_id}</Link>,
  },
  {
    id: "by",
    header: t().transfers.requestedBy,
    cell: ({ created_by }) => <Name>{actorName(created_by)}</Name>,
  },
  {
    id: "at",
    header: t().transfers.when,
    cell: ({ created_at }) => <When at={created_at} relative />,
  },
  { id: "before", header: t().policy.before, cell: ({ before }) => <DecisionBadge of={before} /> },
  { id: "after", header: t().policy.after, cell: ({ after }) => <DecisionBadge of={after} /> },
  {
    id: "policies",
    header: t().policies.title,
    cell: ({ policies }) => policies.map(safeText).join(", ") || t().policies.notPermitted,
  },
];
