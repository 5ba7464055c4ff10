import Box from "@cloudscape-design/components/box";
import { useEffect, useRef, useState } from "react";
import { speed as speedText } from "../../format/sizes";
import { t } from "../../words";

const EVERY_MS = 1_000;
/** Five minutes of seconds. */
const MOST = 300;
const [WIDTH, HEIGHT] = [300, 100];

/** How fast it has been since the page was opened, a point a second. */
export function SpeedPlot({ speed }: { speed: number }) {
  const now = useRef(speed);
  now.current = speed;
  const [points, setPoints] = useState<number[]>([]);
  useEffect(() => {
    const timer = setInterval(() => setPoints((before) => [...before, now.current].slice(-MOST)), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  const words = t().transfer;
  const most = Math.max(1, ...points);
  const seen = points.some((point) => point > 0);
  return (
    <div>
      <Box variant="awsui-key-label">{words.speed}</Box>
      <Box color="text-body-secondary" fontSize="body-s">
        {seen
          ? `${words.speedSince} · ${words.speedLabel(speedText(speed), speedText(most))}`
          : words.speedNone}
      </Box>
      <svg
        className="plot"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${words.speed}: ${words.speedLabel(speedText(speed), speedText(most))}`}
      >
        <line className="base" x1="0" x2={WIDTH} y1={HEIGHT - 1} y2={HEIGHT - 1} />
        {points.length > 1 && (
          <>
            <path className="area" d={`${curve(points, most)} V${HEIGHT} H0 Z`} />
            <path className="curve" d={curve(points, most)} />
          </>
        )}
      </svg>
    </div>
  );
}

/** From the left edge to the right; a short while is drawn as wide as a minute at least. */
export function curve(points: readonly number[], most: number): string {
  const step = WIDTH / Math.max(59, points.length - 1);
  return points
    .map((point, at) => {
      const height = HEIGHT - 2 - (point / most) * (HEIGHT - 8);
      return `${at === 0 ? "M" : "L"}${(at * step).toFixed(1)},${height.toFixed(1)}`;
    })
    .join(" ");
}
