import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { Name } from "../../components/text";
import { actorName, locationText, safeText } from "../../format/names";
import { translatedProblem } from "../../format/problems";
import { bytes } from "../../format/sizes";
import { clockSkew } from "../../format/times";
import { t } from "../../i18n";
import { href } from "../../router";
import type { Problem } from "../../types";
import type { AttentionItem } from "./overviewModel";

const MAX_ITEMS = 6;

/** List of what needs attention, most urgent first, each with advice. */
export function AttentionList({ cares: items }: { cares: readonly AttentionItem[] }) {
  const labels = t().overview;
  return (
    <Container fitHeight header={<Header variant="h2">{labels.attention}</Header>}>
      {items.length === 0 ? (
        <StatusIndicator type="success">{labels.nothingToDo}</StatusIndicator>
      ) : (
        <SpaceBetween size="s">
          {items.slice(0, MAX_ITEMS).map((item) => {
            const { title, why, href: to, error } = describeItem(item);
            return (
              <div key={`${item.kind} ${to} ${title}`}>
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
          {items.length > MAX_ITEMS && (
            <Box color="text-body-secondary">{labels.more(items.length - MAX_ITEMS)}</Box>
          )}
        </SpaceBetween>
      )}
    </Container>
  );
}

/** Return a problem as text: translated where possible, with the agent's message. */
function explained({ code, message, advice }: Problem): string {
  const own = translatedProblem(code);
  return `${own.what ? `${own.what}: ` : ""}${message} ${own.advice ?? advice}`;
}

interface ItemText {
  title: string;
  why: string;
  href: string;
  error: boolean;
}

function describeItem(item: AttentionItem): ItemText {
  const labels = t().overview;
  switch (item.kind) {
    case "pausedByAgent":
    case "failed":
    case "partiallyFailed": {
      const { transfer_id, source, problem } = item.transfer;
      const why = problem ? explained(problem) : "";
      return {
        title: labels[item.kind](safeText(locationText(source))),
        why,
        href: href("transfers", transfer_id),
        error: item.kind === "failed",
      };
    }
    case "approval": {
      const { transfer_id, source, created_by } = item.transfer;
      return {
        title: labels.approval(safeText(locationText(source))),
        why: labels.approvalWhy(actorName(created_by)),
        href: href("transfers", transfer_id),
        error: false,
      };
    }
    case "nearlyFull":
    case "missing": {
      const root = `${item.agent.agent_id}:${item.root.path}`;
      const full = item.kind === "nearlyFull";
      return {
        title: full ? labels.nearlyFull(root) : labels.missing(root),
        why: full ? labels.nearlyFullWhy(bytes(item.root.free ?? 0)) : labels.missingWhy,
        href: href("agents", item.agent.agent_id),
        error: !full,
      };
    }
    case "clock": {
      const { agent_id, skew } = item.agent;
      return {
        title: labels.clock(agent_id, clockSkew(skew ?? 0)),
        why: labels.clockWhy,
        href: href("agents", agent_id),
        error: true,
      };
    }
    case "rejectsCommands": {
      const { agent_id } = item.agent;
      return {
        title: labels.rejectsCommands(agent_id),
        why: labels.rejectsCommandsWhy,
        href: href("agents", agent_id),
        error: true,
      };
    }
    default: {
      const name = item.agent.agent_id;
      const down = item.kind === "offline";
      return {
        title: down ? labels.offline(name) : labels.late(name),
        why: down ? labels.offlineWhy : labels.lateWhy,
        href: href("agents", name),
        error: down,
      };
    }
  }
}
