import Autosuggest from "@cloudscape-design/components/autosuggest";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import { useState } from "react";
import { safeText } from "../../format/names";
import { stateDisplay } from "../../format/states";
import type { FleetFilter } from "../../hooks/queries";
import { t } from "../../i18n";
import { go, hrefWith } from "../../router";
import type { AgentStatus, AgentSummary } from "../../types";

const STATUSES: AgentStatus[] = ["online", "late", "offline"];
const OTHERS = ["attention", "outdated"] as const;
type Status = AgentStatus | (typeof OTHERS)[number];

export interface Filters {
  status: Status | null;
  /** `site=berlin` */
  tag: string | null;
}

export function readFilters(query: URLSearchParams): Filters {
  const status = [...STATUSES, ...OTHERS].find((one) => one === query.get("status")) ?? null;
  return { status, tag: query.get("tag") };
}

/** Return the criteria that a choice of the status filter stands for. */
export function statusFilter(status: Status | null): FleetFilter {
  if (status === "attention") return { attention: true };
  if (status === "outdated") return { outdated: true };
  return { status };
}

/** Return all tags of these agents as text: `site=berlin`. */
export function tagsOf(agents: readonly AgentSummary[]): string[] {
  const found = agents.flatMap(({ tags }) => Object.entries(tags).map(([key, value]) => `${key}=${value}`));
  return [...new Set(found)].sort();
}

/** The beginning of the names, which the API looks for while it is typed. */
export function NameFilter({ value, onChange }: { value: string; onChange(value: string): void }) {
  return (
    <Input
      type="search"
      value={value}
      placeholder={t().agents.find}
      ariaLabel={t().agents.find}
      spellcheck={false}
      onChange={({ detail }) => onChange(detail.value)}
    />
  );
}

interface TagFilterProps {
  filters: Filters;
  /** Tags to suggest; any other can be typed. */
  tags: readonly string[];
}

export function TagFilter({ filters, tags }: TagFilterProps) {
  const [text, setText] = useState(filters.tag ?? "");
  const choose = (tag: string) => {
    if (tag === "" || TAG.test(tag)) go(hrefWith("agents", { ...filters, tag: tag || null }));
  };
  return (
    <Autosuggest
      ariaLabel={t().common.tags}
      placeholder={t().agents.everyTag}
      value={text}
      options={tags.map((value) => ({ value, label: safeText(value) }))}
      enteredTextLabel={(typed) => t().agents.withTag(safeText(typed))}
      empty={t().agents.tagHint}
      onChange={({ detail }) => {
        setText(detail.value);
        if (detail.value === "") choose("");
      }}
      onSelect={({ detail }) => choose(detail.value.trim())}
    />
  );
}

const TAG = /^[^=]+=/;

export function StatusFilter({ filters }: { filters: Filters }) {
  const every = { value: "", label: t().agents.everyStatus };
  const options = [
    every,
    ...STATUSES.map((value) => ({ value, label: stateDisplay(value).label })),
    ...OTHERS.map((value) => ({ value, label: t().agents.others[value] })),
  ];
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
