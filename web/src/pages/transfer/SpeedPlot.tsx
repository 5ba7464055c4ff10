import Box from "@cloudscape-design/components/box";
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { speed as speedText } from "../../format/sizes";
import { time } from "../../format/times";
import { t } from "../../i18n";

const SAMPLE_INTERVAL_MS = 1_000;
/** Samples kept (five minutes), and the minimum range of the time axis in seconds. */
const MAX_POINTS = 300;
const MIN_RANGE_S = 60;
const HEIGHT = 160;
const FONT = "'Open Sans', 'Helvetica Neue', Roboto, Arial, sans-serif";
/** Steps of the axis: round amounts of bytes. */
const STEPS = [0, 1, 2, 3, 4].flatMap((power) =>
  [1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * 1024 ** power),
);

/** Chart of the speed since the page was opened, one sample a second. */
export default function SpeedPlot({ speed }: { speed: number }) {
  const place = useRef<HTMLDivElement>(null);
  const now = useRef(speed);
  now.current = speed;
  const [peak, setMost] = useState(speed);
  useEffect(() => {
    if (!place.current) return undefined;
    return drawPlot(place.current, () => {
      setMost((before) => Math.max(before, now.current));
      return now.current;
    });
  }, []);
  const labels = t().transfer;
  const label = labels.speedLabel(speedText(speed), speedText(peak));
  return (
    <div>
      <Box variant="awsui-key-label">{labels.speed}</Box>
      <Box color="text-body-secondary" fontSize="body-s">
        {peak > 0 ? `${labels.speedSince} · ${label}` : labels.speedNone}
      </Box>
      <div ref={place} className="plot" role="img" aria-label={`${labels.speed}: ${label}`} />
    </div>
  );
}

/** Draw the chart until the returned function is called. `next` is sampled once a second. */
function drawPlot(place: HTMLElement, next: () => number): () => void {
  const times: number[] = [];
  const speeds: number[] = [];
  const plot = new uPlot(plotOptions(place.clientWidth), [times, speeds], place);
  const timer = setInterval(() => {
    times.push(Date.now() / 1000);
    speeds.push(next());
    times.splice(0, times.length - MAX_POINTS);
    speeds.splice(0, speeds.length - MAX_POINTS);
    plot.setData([times, speeds]);
  }, SAMPLE_INTERVAL_MS);
  const resized = new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT }));
  resized.observe(place);
  return () => {
    clearInterval(timer);
    resized.disconnect();
    plot.destroy();
  };
}

/** Return the chart's options. Colors are read at each redraw, since the theme may change. */
function plotOptions(width: number): uPlot.Options {
  const color = (name: string) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const lines = { stroke: () => color("--rule"), width: 1 };
  const axis = { stroke: () => color("--ink"), grid: lines, ticks: lines, font: `12px ${FONT}` };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
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
      },
    ],
  };
}

/** Return the axis range: from 0 to a little above the maximum. */
function speedRange(_: uPlot, _from: number, to: number): [number, number] {
  return [0, Math.max(to * 1.1, 1)];
}
