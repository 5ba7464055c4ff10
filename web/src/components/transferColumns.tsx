import Box from "@cloudscape-design/components/box";
import Link from "@cloudscape-design/components/link";
import ProgressBar from "@cloudscape-design/components/progress-bar";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { TableProps } from "@cloudscape-design/components/table";
import { actorName } from "../format/names";
import { amountOnce, duration, share, speed, timeLeft } from "../format/sizes";
import { useNow } from "../hooks/useNow";
import { t } from "../i18n";
import { useLiveProgress } from "../live/LiveProgressProvider";
import { progressNow } from "../live/mergeProgress";
import { isUnfinished } from "../model/transferActions";
import { href } from "../router";
import type { Progress, TransferSummary } from "../types";
import { LocationName, Name, StatusBadge, When } from "./text";

type Column = TableProps.ColumnDefinition<TransferSummary>;

export const COLUMNS = [
  "source",
  "destination",
  "state",
  "progress",
  "speed",
  "duration",
  "by",
  "at",
  "id",
] as const;
/** Columns of a table that stands among others on a page. */
export const USUAL_COLUMNS: readonly ColumnId[] = ["source", "destination", "state", "progress", "by", "at"];

export type ColumnId = (typeof COLUMNS)[number];

/** Return every column of a table of transfers. */
function columns(): Record<ColumnId, Column> {
  const labels = t().transfers;
  return {
    source: {
      id: "source",
      header: labels.source,
      isRowHeader: true,
      minWidth: 170,
      cell: (transfer) => <Source transfer={transfer} />,
    },
    destination: {
      id: "destination",
      header: labels.destination,
      minWidth: 155,
      cell: (transfer) => <Destinations transfer={transfer} />,
    },
    state: {
      id: "state",
      header: labels.state,
      minWidth: 165,
      cell: (transfer) => <StatusBadge of={transfer} />,
    },
    progress: {
      id: "progress",
      header: labels.progress,
      minWidth: 125,
      cell: (transfer) => <ProgressCell transfer={transfer} />,
    },
    speed: {
      id: "speed",
      header: labels.speed,
      minWidth: 90,
      cell: (transfer) => <SpeedCell transfer={transfer} />,
    },
    duration: {
      id: "duration",
      header: labels.duration,
      minWidth: 85,
      cell: (transfer) => <DurationCell transfer={transfer} />,
    },
    by: { id: "by", header: labels.requestedBy, minWidth: 160, cell: (transfer) => requester(transfer) },
    at: {
      id: "at",
      header: labels.when,
      minWidth: 115,
      sortingField: "created_at",
      cell: ({ created_at }) => <When at={created_at} relative />,
    },
    id: {
      id: "id",
      header: labels.id,
      minWidth: 215,
      cell: ({ transfer_id }) => <Box variant="code">{transfer_id}</Box>,
    },
  };
}

/** Return the columns of a table of transfers: a single one on a phone. */
export function transferColumns(narrow: boolean, chosen: readonly ColumnId[] = USUAL_COLUMNS): Column[] {
  const known = columns();
  return narrow ? [stacked()] : COLUMNS.filter((id) => chosen.includes(id)).map((id) => known[id]);
}

const stacked = (): Column => ({
  id: "all",
  header: t().transfers.transfer,
  isRowHeader: true,
  cell: (transfer) => (
    <SpaceBetween size="xxs">
      <StatusBadge of={transfer} />
      <div>
        <Source transfer={transfer} /> <span aria-hidden="true">→</span>
        <span className="visually-hidden">{t().common.to}</span> <Destinations transfer={transfer} />
      </div>
      <ProgressCell transfer={transfer} />
      <Box color="text-body-secondary" fontSize="body-s">
        <When at={transfer.created_at} relative /> · {requester(transfer)}
      </Box>
    </SpaceBetween>
  ),
});

function requester({ created_by, template_id }: TransferSummary) {
  return <Name>{template_id ? t().transfers.template(template_id) : actorName(created_by)}</Name>;
}

/** Where it comes from, and for a template's transfer which objects. */
function Source({ transfer }: { transfer: TransferSummary }) {
  return (
    <>
      <Link href={href("transfers", transfer.transfer_id)}>
        <LocationName at={transfer.source} />
      </Link>
      <Objects of={transfer} />
    </>
  );
}

/** The objects that a template selected: `ep1.mov and 1 more`. */
function Objects({ of: { selection_first, selection_count } }: { of: TransferSummary }) {
  if (!selection_first) return null;
  const others = (selection_count ?? 1) - 1;
  return (
    <Box>
      <Name>{selection_first}</Name>
      {others > 0 && t().transfers.more(others)}
    </Box>
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

/** Return live progress where the page subscribes to it, otherwise the stored progress. */
function useProgress(transfer: TransferSummary): Progress {
  const { received, fetchedAt } = useLiveProgress();
  const now = useNow();
  return transfer.state === "running" ? progressNow(transfer, received, now, fetchedAt) : transfer.progress;
}

/** A bar while it is unfinished; the size counts once, however many hops carry it. */
function ProgressCell({ transfer }: { transfer: TransferSummary }) {
  const progress = useProgress(transfer);
  if (transfer.dry_run) return <Box color="text-body-secondary">{t().preview.onlyLooks}</Box>;
  const left = transfer.state === "running" ? timeLeft(progress, transfer.destinations.length) : null;
  const amount = amountOnce(transfer.destinations.length, transfer.size, progress);
  const text = left === null ? amount : `${amount} · ${t().amounts.left(duration(left))}`;
  const percent = share(progress);
  if (!isUnfinished(transfer.state) || percent === null) return text || "–";
  return <ProgressBar value={percent} ariaLabel={t().amounts.progress} description={text} />;
}

function SpeedCell({ transfer }: { transfer: TransferSummary }) {
  const { bytes_per_second } = useProgress(transfer);
  return transfer.state === "running" && bytes_per_second > 0 ? speed(bytes_per_second) : "–";
}

function DurationCell({ transfer: { started_at, ended_at } }: { transfer: TransferSummary }) {
  const now = useNow();
  if (!started_at) return "–";
  return duration(((ended_at ? Date.parse(ended_at) : now) - Date.parse(started_at)) / 1000);
}
