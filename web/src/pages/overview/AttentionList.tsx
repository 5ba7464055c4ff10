import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { Name } from "../../components/text";
import { actor, locationText, shown } from "../../format/names";
import { ownWords } from "../../format/problems";
import { bytes } from "../../format/sizes";
import { skewed } from "../../format/times";
import { t } from "../../i18n";
import { href } from "../../router";
import type { Problem } from "../../types";
import type { Care } from "./overviewModel";

const MOST = 6;

/** What needs a person, the most urgent first, each with what to do. */
export function AttentionList({ cares }: { cares: readonly Care[] }) {
  const words = t().overview;
  return (
    <Container fitHeight header={<Header variant="h2">{words.attention}</Header>}>
      {cares.length === 0 ? (
        <StatusIndicator type="success">{words.calm}</StatusIndicator>
      ) : (
        <SpaceBetween size="s">
          {cares.slice(0, MOST).map((care) => {
            const { title, why, to, error } = told(care);
            return (
              <div key={`${care.kind} ${to} ${title}`}>
                <StatusIndicator type={error ? "error" : "warning"}>
                  <Link href={to}>
                    <Name>{title}</Name>
                  </Link>
                </StatusIndicator>
                <Box color="text-body-secondary" fontSize="body-s">
                  <Name>{why}</Name>
                </Box>
              </div>
            );
          })}
          {cares.length > MOST && <Box color="text-body-secondary">{words.more(cares.length - MOST)}</Box>}
        </SpaceBetween>
      )}
    </Container>
  );
}

/** In the page's own words, where it has any, and in those of the agent. */
function explained({ code, message, advice }: Problem): string {
  const own = ownWords(code);
  return `${own.what ? `${own.what}: ` : ""}${message} ${own.advice ?? advice}`;
}

interface Told {
  title: string;
  why: string;
  to: string;
  error: boolean;
}

function told(care: Care): Told {
  const words = t().overview;
  switch (care.kind) {
    case "stuck":
    case "failed":
    case "partly": {
      const { transfer_id, source, problem } = care.transfer;
      const why = problem ? explained(problem) : "";
      return {
        title: words[care.kind](shown(locationText(source))),
        why,
        to: href("transfers", transfer_id),
        error: care.kind === "failed",
      };
    }
    case "approval": {
      const { transfer_id, source, created_by } = care.transfer;
      return {
        title: words.approval(shown(locationText(source))),
        why: words.approvalWhy(actor(created_by)),
        to: href("transfers", transfer_id),
        error: false,
      };
    }
    case "full":
    case "missing": {
      const root = `${care.agent.agent_id}:${care.root.path}`;
      const full = care.kind === "full";
      return {
        title: full ? words.full(root) : words.missing(root),
        why: full ? words.fullWhy(bytes(care.root.free ?? 0)) : words.missingWhy,
        to: href("agents", care.agent.agent_id),
        error: !full,
      };
    }
    case "clock": {
      const { agent_id, skew } = care.agent;
      return {
        title: words.clock(agent_id, skewed(skew ?? 0)),
        why: words.clockWhy,
        to: href("agents", agent_id),
        error: true,
      };
    }
    case "deaf": {
      const { agent_id } = care.agent;
      return { title: words.deaf(agent_id), why: words.deafWhy, to: href("agents", agent_id), error: true };
    }
    default: {
      const name = care.agent.agent_id;
      const down = care.kind === "down";
      return {
        title: down ? words.down(name) : words.late(name),
        why: down ? words.downWhy : words.lateWhy,
        to: href("agents", name),
        error: down,
      };
    }
  }
}
