import Select from "@cloudscape-design/components/select";
import { safeText, tagText } from "../../format/names";
import { stateDisplay } from "../../format/states";
import { t } from "../../i18n";
import { go, hrefWith } from "../../router";
import type { Agent, AgentStatus } from "../../types";

const STATUSES: AgentStatus[] = ["online", "late", "offline"];

interface Filters {
  status: AgentStatus | null;
  /** `site: berlin` */
  tag: string | null;
}

export function readFilters(query: URLSearchParams): Filters {
  return { status: STATUSES.find((one) => one === query.get("status")) ?? null, tag: query.get("tag") };
}

export function matchesFilters(agent: Agent, { status, tag }: Filters): boolean {
  return (status === null || agent.status === status) && (tag === null || tagsOf([agent]).includes(tag));
}

/** Return all tags of these agents as text. */
export function tagsOf(agents: readonly Agent[]): string[] {
  const found = agents.flatMap(({ tags }) => Object.entries(tags).map(([key, value]) => tagText(key, value)));
  return [...new Set(found)].sort();
}

export function TagFilter({ filters, tags }: { filters: Filters; tags: readonly string[] }) {
  const every = { value: "", label: t().agents.everyTag };
  const known = filters.tag && !tags.includes(filters.tag) ? [...tags, filters.tag] : tags;
  if (known.length === 0) return null;
  const options = [every, ...known.map((value) => ({ value, label: safeText(value) }))];
  return (
    <Select
      ariaLabel={t().common.tags}
      options={options}
      filteringType={known.length > 10 ? "auto" : "none"}
      selectedOption={options.find((one) => one.value === filters.tag) ?? every}
      onChange={({ detail }) =>
        go(hrefWith("agents", { ...filters, tag: detail.selectedOption.value ?? null }))
      }
    />
  );
}

export function StatusFilter({ filters }: { filters: Filters }) {
  const every = { value: "", label: t().agents.everyStatus };
  const options = [every, ...STATUSES.map((value) => ({ value, label: stateDisplay(value).label }))];
  return (
    <Select
      ariaLabel={t().agents.status}
      options={options}
      selectedOption={options.find((one) => one.value === filters.status) ?? every}
      onChange={({ detail }) =>
        go(hrefWith("agents", { ...filters, status: detail.selectedOption.value ?? null }))
      }
    />
  );
}
