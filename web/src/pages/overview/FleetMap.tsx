import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import { useEffect, useRef } from "react";
import { count, speed } from "../../format/sizes";
import { stateDisplay } from "../../format/states";
import { t } from "../../i18n";
import { href } from "../../router";
import type { AgentSummary } from "../../types";
import { curve, HEIGHT, MAX_EDGES, type Node, placeNodes, RADIUS, WIDTH } from "./layout";
import type { Edge } from "./overviewModel";

/** Length of a dash period, as in page.css, and step of the animation. */
const PERIOD = 16;
const STEP = 2;
/** Maximum number of active edges whose speed is labeled. */
const MAX_SPEED_LABELS = 10;

interface Props {
  /** The agents to draw, if there is room for them. */
  agents: readonly AgentSummary[];
  /** How many agents there are in all. */
  all: number;
  edges: readonly Edge[];
}

/** Map of data flows: agents around an ellipse, running hops as animated lines. */
export function FleetMap({ agents, all, edges }: Props) {
  const labels = t().overview;
  const drawn = edges.slice(0, MAX_EDGES);
  const nodes = placeNodes(agents, drawn);
  const shown = nodes.filter(({ status }) => status !== null).length;
  const moving = drawn.filter((edge) => edge.hops > 0);
  const picture = useFlow(moving.length > 0);
  if (nodes.length === 0) return null;
  return (
    <Container
      fitHeight
      header={
        <Header variant="h2" description={labels.mapHint}>
          {labels.map}
        </Header>
      }
    >
      {/* biome-ignore lint/a11y/useSemanticElements: a picture with links in it is no fieldset. */}
      <svg
        ref={picture}
        className="fleet-map"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="group"
        aria-label={labels.mapLabel(nodes.length, moving.length)}
      >
        <Arrow id="arrow-moving" className="tip" />
        <Arrow id="arrow-pale" className="tip pale" />
        {[...drawn].reverse().map((edge) => (
          <EdgeLine
            key={`${edge.from} ${edge.to}`}
            edge={edge}
            nodes={nodes}
            named={moving.length <= MAX_SPEED_LABELS}
          />
        ))}
        {nodes.map((node) => (
          <NodeMark key={node.name} node={node} />
        ))}
      </svg>
      <ul className="visually-hidden">
        {drawn.map(({ from, to, hops, speed: rate }) => (
          <li key={`${from} ${to}`}>
            {hops ? labels.mapEdge(from, to, hops, speed(rate)) : labels.mapRecent(from, to)}
          </li>
        ))}
      </ul>
      {all > shown && (
        <Box color="text-body-secondary" fontSize="body-s">
          {labels.mapMany(shown, count(all))}
        </Box>
      )}
    </Container>
  );
}

/** Animate the dashes of active lines at 10 frames a second. A CSS animation would cost 60. */
function useFlow(moves: boolean) {
  const picture = useRef<SVGSVGElement>(null);
  useEffect(() => {
    if (!moves || matchMedia("(prefers-reduced-motion: reduce)").matches) return undefined;
    let offset = 0;
    const timer = setInterval(() => {
      offset = (offset + STEP) % PERIOD;
      picture.current?.style.setProperty("stroke-dashoffset", String(-offset));
    }, 100);
    return () => clearInterval(timer);
  }, [moves]);
  return picture;
}

function Arrow({ id, className }: { id: string; className: string }) {
  return (
    <marker id={id} viewBox="0 0 8 8" refX="6" refY="4" markerWidth="5" markerHeight="5" orient="auto">
      <path d="M0,0 L8,4 L0,8 z" className={className} />
    </marker>
  );
}

function EdgeLine({ edge, nodes, named }: { edge: Edge; nodes: readonly Node[]; named: boolean }) {
  const from = nodes.find((node) => node.name === edge.from);
  const to = nodes.find((node) => node.name === edge.to);
  if (!from || !to) return null;
  const { path, middle } = curve(from, to);
  const moves = edge.hops > 0;
  return (
    <g>
      <path
        d={path}
        className={moves ? "line moving" : "line"}
        markerEnd={moves ? "url(#arrow-moving)" : "url(#arrow-pale)"}
      />
      {moves && named && edge.speed > 0 && (
        <text x={middle.x} y={middle.y} className="speed">
          {speed(edge.speed)}
        </text>
      )}
    </g>
  );
}

function NodeMark({ node }: { node: Node }) {
  const look = node.status === null ? null : stateDisplay(node.status);
  const below = node.y > HEIGHT / 2 - 1;
  const dot = (
    <g className={`place ${node.status ?? "s3"}`}>
      {node.status === null ? (
        <rect x={node.x - RADIUS} y={node.y - RADIUS} width={2 * RADIUS} height={2 * RADIUS} rx="3" />
      ) : (
        <circle cx={node.x} cy={node.y} r={RADIUS} />
      )}
      <text x={node.x} y={node.y + (below ? RADIUS + 18 : -RADIUS - 8)}>
        {node.name}
        {node.status !== "online" && look && ` (${look.label})`}
      </text>
    </g>
  );
  return look ? (
    <a href={href("agents", node.name)} aria-label={`${node.name}: ${look.label}`}>
      {dot}
    </a>
  ) : (
    dot
  );
}
