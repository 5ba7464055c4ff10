import Box from "@cloudscape-design/components/box";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { TableProps } from "@cloudscape-design/components/table";
import { actorName } from "../format/names";
import { useNow } from "../hooks/useNow";
import { t } from "../i18n";
import { useLiveProgress } from "../live/LiveProgressProvider";
import { progressNow } from "../live/mergeProgress";
import { href } from "../router";
import type { TransferSummary } from "../types";
import { ProgressLine } from "./ProgressLine";
import { LocationName, Name, StatusBadge, When } from "./text";

type Column = TableProps.ColumnDefinition<TransferSummary>;

const state = (): Column => ({
  id: "state",
  header: t().transfers.state,
  minWidth: 185,
  cell: (transfer) => <StatusBadge of={transfer} />,
});

const route = (): Column => ({
  id: "route",
  header: t().transfers.route,
  isRowHeader: true,
  minWidth: 260,
  cell: (transfer) => (
    <Link href={href("transfers", transfer.transfer_id)}>
      <LocationName at={transfer.source} /> <span aria-hidden="true">→</span>
      <span className="visually-hidden">{t().common.to}</span> <Destinations transfer={transfer} />
    </Link>
  ),
});

const progressed = (): Column => ({
  id: "progress",
  header: t().transfers.progress,
  minWidth: 220,
  cell: (transfer) => <ProgressCell transfer={transfer} />,
});

const requester = (): Column => ({
  id: "by",
  header: t().transfers.requestedBy,
  minWidth: 215,
  cell: ({ created_by, template_id }) => (
    <Name>{template_id ? t().transfers.template(template_id) : actorName(created_by)}</Name>
  ),
});

const at = (): Column => ({
  id: "at",
  header: t().transfers.when,
  minWidth: 130,
  cell: ({ created_at }) => <When at={created_at} relative />,
});

/** Return the columns of a table of transfers: a single one on a phone. */
export function transferColumns(narrow: boolean): Column[] {
  return narrow ? [stacked()] : [state(), route(), progressed(), requester(), at()];
}

const stacked = (): Column => ({
  id: "all",
  header: t().transfers.transfer,
  isRowHeader: true,
  cell: (transfer) => (
    <SpaceBetween size="xxs">
      <StatusBadge of={transfer} />
      {route().cell(transfer)}
      <ProgressCell transfer={transfer} />
      <Box color="text-body-secondary" fontSize="body-s">
        {at().cell(transfer)} · {requester().cell(transfer)}
      </Box>
    </SpaceBetween>
  ),
});

/** Live progress where the page subscribes to it, otherwise the stored progress. */
function ProgressCell({ transfer }: { transfer: TransferSummary }) {
  const { received, fetchedAt } = useLiveProgress();
  const now = useNow();
  const moving = transfer.state === "running";
  if (transfer.dry_run) return <Box color="text-body-secondary">{t().preview.onlyLooks}</Box>;
  return (
    <ProgressLine
      progress={moving ? progressNow(transfer, received, now, fetchedAt) : transfer.progress}
      moving={moving}
    />
  );
}

function Destinations({ transfer }: { transfer: TransferSummary }) {
  const [first, ...others] = transfer.destinations;
  if (!first) return null;
  return (
    <>
      <LocationName at={first} />
      {others.length > 0 && t().transfers.more(others.length)}
    </>
  );
}
