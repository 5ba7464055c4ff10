/** Layout of the map of data flows: positions of nodes, and curves between them. */
import type { AgentStatus, AgentSummary } from "../../types";
import { type Edge, S3_PLACE } from "./overviewModel";

export const WIDTH = 560;
export const HEIGHT = 340;
export const RADIUS = 9;
/** Maximum number of nodes whose names stay readable. */
export const MAX_PLACES = 28;
export const MAX_EDGES = 80;

export interface Node {
  name: string;
  x: number;
  y: number;
  /** An agent's status; null for S3. */
  status: AgentStatus | null;
}

/** Place the nodes around an ellipse: agents with edges are preferred, all sorted by name. */
export function placeNodes(agents: readonly AgentSummary[], edges: readonly Edge[]): Node[] {
  const busy = new Set(edges.flatMap(({ from, to }) => [from, to]));
  const named = agents.map(({ agent_id, status }) => ({ name: agent_id, status }));
  const chosen = named
    .sort((one, other) => Number(busy.has(other.name)) - Number(busy.has(one.name)))
    .slice(0, MAX_PLACES)
    .sort((one, other) => one.name.localeCompare(other.name));
  const places = busy.has(S3_PLACE) ? [{ name: S3_PLACE, status: null }, ...chosen] : chosen;
  return places.map((place, number) => {
    const angle = Math.PI + (2 * Math.PI * number) / places.length;
    return {
      ...place,
      x: WIDTH / 2 + Math.cos(angle) * (WIDTH / 2 - 80),
      y: HEIGHT / 2 + Math.sin(angle) * (HEIGHT / 2 - 46),
    };
  });
}

/** Return a curve between two nodes, bent to the left, so that both directions are visible. */
export function curve(from: Node, to: Node): { path: string; middle: { x: number; y: number } } {
  if (from === to) return loop(from);
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const bend = Math.min(46, length * 0.16);
  const control = {
    x: (from.x + to.x) / 2 + (dy / length) * bend,
    y: (from.y + to.y) / 2 - (dx / length) * bend,
  };
  const start = towards(from, control, RADIUS + 4);
  const end = towards(to, control, RADIUS + 8);
  const middle = {
    x: (start.x + 2 * control.x + end.x) / 4,
    y: (start.y + 2 * control.y + end.y) / 4,
  };
  return { path: `M${point(start)} Q${point(control)} ${point(end)}`, middle };
}

/** Return a loop, for a copy within one server. */
function loop({ x, y }: Node): ReturnType<typeof curve> {
  const [left, right, top] = [x - RADIUS, x + RADIUS, y - RADIUS * 5];
  return {
    path: `M${point({ x: left, y: y - RADIUS })} C${left - 18},${top} ${right + 18},${top} ${right},${y - RADIUS}`,
    middle: { x, y: top },
  };
}

function towards(from: { x: number; y: number }, to: { x: number; y: number }, distance: number) {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  return {
    x: from.x + ((to.x - from.x) / length) * distance,
    y: from.y + ((to.y - from.y) / length) * distance,
  };
}

function point({ x, y }: { x: number; y: number }): string {
  return `${x.toFixed(1)},${y.toFixed(1)}`;
}
