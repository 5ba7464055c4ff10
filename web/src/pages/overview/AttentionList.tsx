import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { Name, When } from "../../components/text";
import { actorName, routeText, safeText } from "../../format/names";
import { problemWords } from "../../format/problems";
import { bytes, countUpTo } from "../../format/sizes";
import { clockSkew } from "../../format/times";
import { MAX_WAITING } from "../../hooks/queries";
import { t } from "../../i18n";
import { href, hrefWith } from "../../router";
import type { Attention, Problem, TransferSummary } from "../../types";
import type { AgentItem, AttentionItem } from "./overviewModel";

/** Maximum number of items that are shown; transfers are few, since their other ones are only counted. */
const MAX_ITEMS = 16;

/** List of what needs attention, most urgent first, each with advice. */
export function AttentionList({ items }: { items: readonly AttentionItem[] }) {
  const labels = t().overview;
  return (
    <Container fitHeight header={<Header variant="h2">{labels.attention}</Header>}>
      {items.length === 0 ? (
        <StatusIndicator type="success">{labels.nothingToDo}</StatusIndicator>
      ) : (
        <SpaceBetween size="s">
          {items.slice(0, MAX_ITEMS).map((item) => {
            const { title, why, href: to, error, since } = describeItem(item);
            return (
              <div key={`${item.kind} ${to} ${title}`}>
                <StatusIndicator type={error ? "error" : "warning"}>
                  <Link href={to}>
                    <Name>{title}</Name>
                  </Link>
                </StatusIndicator>
                <Box color="text-body-secondary" fontSize="body-s">
                  {since && (
                    <>
                      <When at={since} relative />
                      {why && " · "}
                    </>
                  )}
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

function explained(problem: Problem): string {
  const { title, message, advice, lang } = problemWords(problem);
  return `${lang && title ? `${title}. ` : ""}${message} ${advice}`.trim();
}

interface ItemText {
  title: string;
  why: string;
  href: string;
  error: boolean;
  /** When it ended, or was created. */
  since?: string;
}

function describeItem(item: AttentionItem): ItemText {
  if ("count" in item) return describeRest(item.kind, item.count);
  return "transfer" in item ? describeTransfer(item.kind, item.transfer) : describeAgent(item);
}

function describeRest(kind: Attention, total: number): ItemText {
  return {
    title: t().overview.showAll[kind](countUpTo(total, MAX_WAITING)),
    why: "",
    href: hrefWith("transfers", { attention: kind }),
    error: kind === "failed",
  };
}

function describeTransfer(kind: Attention, transfer: TransferSummary): ItemText {
  const { transfer_id, created_by, created_at, ended_at, problem } = transfer;
  const labels = t().overview;
  const waits = kind === "awaiting_approval";
  return {
    title: labels.transferNeeds[kind](safeText(routeText(transfer))),
    why: waits ? labels.approvalWhy(actorName(created_by)) : problem ? explained(problem) : "",
    href: href("transfers", transfer_id),
    error: kind === "failed",
    since: ended_at ?? created_at,
  };
}

function describeAgent(item: AgentItem): ItemText {
  const labels = t().overview;
  switch (item.kind) {
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
