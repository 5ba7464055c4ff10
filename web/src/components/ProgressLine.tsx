import Box from "@cloudscape-design/components/box";
import ProgressBar from "@cloudscape-design/components/progress-bar";
import { safeText } from "../format/names";
import { amountOnce, bytes, count, duration, files, share, speed, timeLeft } from "../format/sizes";
import { t } from "../i18n";
import type { HopProgress } from "../live/mergeProgress";
import type { Progress } from "../types";

interface Props {
  progress: HopProgress;
  /** How many hops carry the same files; their progress counts each file once. */
  hops?: number;
  /** Whether data is moving, so that speed and time left are meaningful. */
  moving: boolean;
  label?: string;
  detailed?: boolean;
}

/** Show progress as text, and as a bar once the total is known. */
export function ProgressLine({ progress, hops = 1, moving, label, detailed = false }: Props) {
  const percent = share(progress);
  const words = progressText(progress, moving, detailed, hops);
  const current = detailed && moving && progress.current ? safeText(progress.current) : null;
  if (percent === null) {
    return (
      <Box color="text-body-secondary">
        {hasStarted(progress, moving) ? words : detailed ? t().amounts.nothingMoved : "–"}
      </Box>
    );
  }
  return (
    <ProgressBar
      value={percent}
      label={label}
      ariaLabel={label ?? t().amounts.progress}
      description={words}
      additionalInfo={current && <bdi className="name">{current}</bdi>}
    />
  );
}

function hasStarted(progress: Progress, moving: boolean): boolean {
  return moving || progress.files_done > 0 || progress.bytes_done > 0;
}

/** Return progress as text: `734 MiB of 1.0 GiB · 100 MiB/s · 3 s left`. */
export function progressText(progress: HopProgress, moving: boolean, detailed: boolean, hops = 1): string {
  if (progress.compared !== undefined) {
    return t().amounts.comparing(bytes(progress.compared), bytes(progress.bytes_done));
  }
  const left = timeLeft(progress, hops);
  const rate = moving && progress.bytes_per_second > 0;
  const parts = [
    amountOnce(hops, progress.bytes_total, progress),
    detailed ? filesText(progress, hops) : "",
    rate ? speed(progress.bytes_per_second) : "",
    rate && left !== null ? t().amounts.left(duration(left)) : "",
    detailed && progress.files_removed > 0 ? t().amounts.removed(files(progress.files_removed)) : "",
    detailed && progress.files_unchanged > 0 ? t().amounts.unchanged(files(progress.files_unchanged)) : "",
    detailed ? lostText(progress.lost) : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

/** Return what is not kept as text: `not kept: extended attributes of 3, times of 1`; empty if all is kept. */
function lostText(lost: Progress["lost"]): string {
  const names = t().amounts.lossNames;
  const parts = (Object.keys(names) as (keyof typeof names)[])
    .filter((loss) => lost[loss] > 0)
    .map((loss) => t().amounts.lossOf(names[loss], count(lost[loss])));
  return parts.length > 0 ? t().amounts.notKept(parts.join(", ")) : "";
}

function filesText({ files_done, files_total }: Progress, hops: number): string {
  if (files_total === null) return t().amounts.soFar(files(files_done));
  return files_done === files_total || hops > 1
    ? files(files_total)
    : t().amounts.of(count(files_done), files(files_total));
}
