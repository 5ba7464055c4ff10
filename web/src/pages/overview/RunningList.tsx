import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import { memo } from "react";
import { StatusBadge, When } from "../../components/text";
import { useVisibleRows } from "../../components/useVisibleRows";
import { locationText, safeText } from "../../format/names";
import { amountOnce, countUpTo, duration, share, speed, timeLeft } from "../../format/sizes";
import { MAX_RUNNING, MAX_WAITING } from "../../hooks/queries";
import { t, useLanguage } from "../../i18n";
import { href, hrefWith } from "../../router";
import type { Progress, TransferSummary } from "../../types";

interface Props {
  moving: readonly { transfer: TransferSummary; progress: Progress }[];
  /** Number of transfers that are queued. */
  queued?: number;
  title?: string;
  /** Whether the transfers have ended: shows the result instead of the speed. */
  ended?: boolean;
}

/**
 * Transfers as plain rows: a full table would be too slow for updates of 500 transfers a second. Rows that
 * are not visible are updated only when their state changes.
 */
export function RunningList({ moving, queued = 0, title, ended = false }: Props) {
  const labels = t().overview;
  const { language } = useLanguage();
  const { visible: seen, watch } = useVisibleRows();
  if (ended && moving.length === 0) return null;
  const all = ended ? href("transfers") : hrefWith("transfers", { status: "running" });
  return (
    <Container
      header={
        <Header
          variant="h2"
          counter={ended ? undefined : `(${countUpTo(moving.length, MAX_RUNNING)})`}
          actions={<Link href={all}>{labels.all}</Link>}
        >
          {title ?? labels.runningTable}
        </Header>
      }
    >
      {moving.length === 0 ? (
        <Box textAlign="center" padding="s">
          <Box variant="strong">{labels.nothingRuns}</Box>
          <Box variant="p" color="text-body-secondary">
            {queued > 0 ? (
              <Link href={hrefWith("transfers", { status: "queued" })}>
                {labels.queued(queued, countUpTo(queued, MAX_WAITING))}
              </Link>
            ) : (
              labels.nothingRunsHint
            )}
          </Box>
        </Box>
      ) : (
        <ul className="running" aria-label={title ?? labels.runningTable}>
          {moving.map(({ transfer, progress }) => (
            <Row
              key={transfer.transfer_id}
              transfer={transfer}
              progress={progress}
              ended={ended}
              seen={seen.has(transfer.transfer_id)}
              watch={watch}
              language={language}
            />
          ))}
        </ul>
      )}
    </Container>
  );
}

interface RowProps {
  transfer: TransferSummary;
  progress: Progress;
  ended: boolean;
  seen: boolean;
  watch(row: HTMLElement | null): (() => void) | undefined;
  language: string;
}

const Row = memo(function Row({ transfer, progress, ended, watch }: RowProps) {
  const { transfer_id, source, destinations } = transfer;
  const [first] = destinations;
  const more = destinations.length - 1;
  const route = `${safeText(locationText(source))} → ${first ? safeText(locationText(first)) : ""}`;
  return (
    <li ref={watch} data-key={transfer_id}>
      <a className="route" href={href("transfers", transfer_id)} title={route}>
        <bdi>{route}</bdi>
        {more > 0 && t().transfers.more(more)}
      </a>
      {ended ? (
        <>
          <span>
            <StatusBadge of={transfer} />
          </span>
          <span>{amountOnce(transfer.destinations.length, transfer.size, progress)}</span>
          <When at={transfer.ended_at ?? transfer.created_at} relative />
        </>
      ) : (
        <Moving transfer={transfer} progress={progress} />
      )}
    </li>
  );
}, same);

function Moving({ transfer, progress }: Pick<RowProps, "transfer" | "progress">) {
  const percent = share(progress);
  const left = timeLeft(progress, transfer.destinations.length);
  return (
    <>
      <Bar percent={percent} />
      <span>{amountOnce(transfer.destinations.length, transfer.size, progress)}</span>
      <span className="rate">
        {progress.bytes_per_second > 0 && speed(progress.bytes_per_second)}
        {left !== null && progress.bytes_per_second > 0 && ` · ${t().amounts.left(duration(left))}`}
      </span>
    </>
  );
}

/** A progress bar that scales with a transform: changing its width would cost a layout of the row. */
function Bar({ percent }: { percent: number | null }) {
  const known = percent !== null;
  return (
    <div
      className={known ? "bar" : "bar unknown"}
      role="progressbar"
      aria-label={t().amounts.progress}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent ?? undefined}
    >
      <div style={{ transform: `scaleX(${known ? percent / 100 : 0})` }} />
    </div>
  );
}

function same(one: RowProps, other: RowProps): boolean {
  return (
    one.language === other.language &&
    one.transfer.transfer_id === other.transfer.transfer_id &&
    one.transfer.state === other.transfer.state &&
    (!other.seen || drawnAlike(one, other))
  );
}

function drawnAlike(one: RowProps, other: RowProps): boolean {
  return (
    one.seen === other.seen &&
    one.progress.bytes_done === other.progress.bytes_done &&
    one.progress.bytes_total === other.progress.bytes_total &&
    one.progress.bytes_per_second === other.progress.bytes_per_second
  );
}
