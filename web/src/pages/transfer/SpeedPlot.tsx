import Box from "@cloudscape-design/components/box";
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { duration, speed as speedText } from "../../format/sizes";
import { time } from "../../format/times";
import { t } from "../../i18n";
import { type Band, bandsOf, type SpeedSeries, speedsOf } from "../../model/speedHistory";
import type { Transfer } from "../../types";

const SAMPLE_INTERVAL_MS = 1_000;
/** Live samples kept (five minutes), and the minimum range of the time axis in seconds. */
const MAX_POINTS = 300;
const MIN_RANGE_S = 60;
const HEIGHT = 160;
const FONT = "'Open Sans', 'Helvetica Neue', Roboto, Arial, sans-serif";
/** Steps of the axis: round amounts of bytes. */
const STEPS = [0, 1, 2, 3, 4].flatMap((power) =>
  [1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * 1024 ** power),
);

interface Props {
  transfer: Transfer;
  /** The speed now; null if the transfer does not move any more. */
  speed: number | null;
}

/** Chart of the speed since the start: the kept history, and one sample a second while the page is open. */
export default function SpeedPlot({ transfer, speed }: Props) {
  const live = useLiveSamples(speed);
  const kept = speedsOf(transfer.hops);
  const series = joined(kept, live);
  const labels = t().transfer;
  const peak = Math.max(0, ...series.speeds);
  const took = Math.max(...transfer.hops.map((hop) => hop.seconds_at_work));
  const moved = transfer.hops.reduce((sum, { history }) => sum + movedBytes(history), 0);
  const average = took > 0 && moved > 0 ? labels.speedAverage(speedText(moved / took), duration(took)) : "";
  const now = speed === null ? "" : labels.speedLabel(speedText(speed), speedText(peak));
  const label = [now, average].filter(Boolean).join(" · ");
  if (series.times.length < 2 || (transfer.ended_at && moved === 0)) return null;
  const bands = bandsOf(transfer.timeline);
  const kinds = (["paused", "waiting"] as const).filter((kind) => bands.some((one) => one.kind === kind));
  return (
    <div>
      <Box variant="awsui-key-label">{labels.speed}</Box>
      <Box color="text-body-secondary" fontSize="body-s">
        {label}
        {kinds.map((kind) => (
          <span key={kind} className={`band ${kind}`}>
            {labels.bands[kind]}
          </span>
        ))}
      </Box>
      <Chart series={series} bands={bands} label={`${labels.speed}: ${label}`} />
    </div>
  );
}

function movedBytes(history: Transfer["hops"][number]["history"]): number {
  return (history.at(-1)?.[1] ?? 0) - (history[0]?.[1] ?? 0);
}

/** Collect one sample a second while the transfer moves. */
function useLiveSamples(speed: number | null): SpeedSeries {
  const now = useRef(speed);
  now.current = speed;
  const [samples, setSamples] = useState<SpeedSeries>({ times: [], speeds: [] });
  useEffect(() => {
    const timer = setInterval(() => {
      const latest = now.current;
      if (latest === null) return;
      setSamples(({ times, speeds }) => ({
        times: [...times, Date.now() / 1000].slice(-MAX_POINTS),
        speeds: [...speeds, latest].slice(-MAX_POINTS),
      }));
    }, SAMPLE_INTERVAL_MS);
    return () => clearInterval(timer);
  }, []);
  return samples;
}

/** Return the history up to the first live sample, then the samples. */
function joined(kept: SpeedSeries, live: SpeedSeries): SpeedSeries {
  const begin = live.times[0] ?? Number.POSITIVE_INFINITY;
  const count = kept.times.filter((at) => at < begin).length;
  return {
    times: [...kept.times.slice(0, count), ...live.times],
    speeds: [...kept.speeds.slice(0, count), ...live.speeds],
  };
}

interface ChartProps {
  series: SpeedSeries;
  bands: Band[];
  label: string;
}

function Chart({ series, bands, label }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shown = useRef(bands);
  shown.current = bands;
  const data: [number[], number[]] = [series.times, series.speeds];
  const first = useRef(data);
  useEffect(() => {
    const box = place.current;
    if (!box) return undefined;
    const made = new uPlot(
      plotOptions(box.clientWidth, () => shown.current),
      first.current,
      box,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height: HEIGHT }));
    resized.observe(box);
    // The theme is a class of the body: a chart of the past has no other reason to be drawn again.
    const themed = new MutationObserver(() => made.redraw());
    themed.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    return () => {
      resized.disconnect();
      themed.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(data));
  return <div ref={place} className="plot" role="img" aria-label={label} />;
}

/** Return the chart's options. Colors are read at each redraw, since the theme may change. */
function plotOptions(width: number, bands: () => Band[]): uPlot.Options {
  const color = (name: string) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const lines = { stroke: () => color("--rule"), width: 1 };
  const axis = { stroke: () => color("--ink"), grid: lines, ticks: lines, font: `12px ${FONT}` };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    hooks: { drawClear: [(plot) => drawBands(plot, bands(), color)] },
    scales: {
      x: { range: (_, from, to) => [Math.min(from, to - MIN_RANGE_S), to] },
      y: { range: speedRange },
    },
    axes: [
      { ...axis, space: 90, values: (_, at) => at.map((second) => time(second * 1000)) },
      { ...axis, size: 90, space: 36, incrs: STEPS, values: (_, at) => at.map(speedText) },
    ],
    series: [
      {},
      {
        stroke: () => color("--blue"),
        fill: () => `${color("--blue")}24`,
        width: 2,
        points: { show: false },
        paths: uPlot.paths.stepped?.({ align: -1 }),
      },
    ],
  };
}

/** Shade the times in which nothing moved. */
function drawBands(plot: uPlot, bands: Band[], color: (name: string) => string): void {
  const { ctx, bbox } = plot;
  const end = plot.scales.x?.max ?? 0;
  const begin = plot.scales.x?.min ?? 0;
  ctx.save();
  for (const { from, to, kind } of bands) {
    const left = plot.valToPos(Math.max(from, begin), "x", true);
    const right = plot.valToPos(Math.min(to ?? end, end), "x", true);
    ctx.fillStyle = `${color(kind === "paused" ? "--amber" : "--pale")}30`;
    if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
  ctx.restore();
}

/** Return the axis range: from 0 to a little above the maximum. */
function speedRange(_: uPlot, _from: number, to: number): [number, number] {
  return [0, Math.max(to * 1.1, 1)];
}
