import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { Name, When } from "../../components/text";
import { actorName, routeText, safeText } from "../../format/names";
import { problemWords } from "../../format/problems";
import { count, countUpTo } from "../../format/sizes";
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

function describeRest(kind: Attention | "agents", total: number): ItemText {
  if (kind === "agents") {
    const to = hrefWith("agents", { status: "attention" });
    return { title: t().overview.agentsNeed(count(total)), why: "", href: to, error: true };
  }
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
  const { agent_id } = item.agent;
  return { ...agentWords(item), href: href("agents", agent_id), error: !MILD.has(item.kind) };

  function agentWords({ kind, ...of }: AgentItem): Pick<ItemText, "title" | "why"> {
    const { path, amount } = "warning" in of ? of.warning : { path: null, amount: null };
    const root = `${agent_id}:${path}`;
    switch (kind) {
      case "root_nearly_full":
        return { title: labels.nearlyFull(root), why: labels.nearlyFullWhy(`${amount ?? 0} %`) };
      case "root_missing":
        return { title: labels.missing(root), why: labels.missingWhy };
      case "clock":
        return { title: labels.clock(agent_id, clockSkew((amount ?? 0) * 60)), why: labels.clockWhy };
      case "rejects_commands":
        return { title: labels.rejectsCommands(agent_id), why: labels.rejectsCommandsWhy };
      case "offline":
        return { title: labels.offline(agent_id), why: labels.offlineWhy };
      case "late":
        return { title: labels.late(agent_id), why: labels.lateWhy };
    }
  }
}

/** What is a warning only. */
const MILD: ReadonlySet<AgentItem["kind"]> = new Set(["late", "root_nearly_full"]);
