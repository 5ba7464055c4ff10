import Button from "@cloudscape-design/components/button";
import DateInput from "@cloudscape-design/components/date-input";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select, { type SelectProps } from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { stateDisplay, TRANSFER_STATES } from "../../format/states";
import { useFleet, useTemplates } from "../../hooks/queries";
import { t } from "../../i18n";
import { ATTENTION, DAYS, DEFAULT_DAYS, type Filters } from "../../model/transferFilters";
import type { Attention, TransferState } from "../../types";

const ATTENTION_PREFIX = "attention:";
const BETWEEN = "between";

interface Props {
  filters: Filters;
  onChange(filters: Filters): void;
}

/** What the list shows: a search, and criteria that all must hold. */
export function FilterBar({ filters, onChange }: Props) {
  const [search, setSearch] = useState("");
  const agents = useFleet({ search });
  const templates = useTemplates();
  const labels = t().transfers;
  return (
    <SpaceBetween size="xs">
      <Typed
        key={`search ${filters.search}`}
        label={labels.search}
        type="search"
        placeholder={labels.searchHint}
        value={filters.search}
        onChange={(search) => onChange({ ...filters, search })}
      />
      <SpaceBetween direction="horizontal" size="xs">
        <StateSelect filters={filters} onChange={onChange} />
        <NameSelect
          label={labels.agent}
          everything={labels.everyAgent}
          names={(agents.data?.agents ?? []).map(({ agent_id }) => agent_id)}
          onSearch={setSearch}
          value={filters.agent}
          onChange={(agent) => onChange({ ...filters, agent })}
        />
        <NameSelect
          label={labels.byTemplate}
          everything={labels.everyTemplate}
          names={(templates.data ?? []).map(({ template_id }) => template_id)}
          value={filters.template}
          onChange={(template) => onChange({ ...filters, template })}
        />
        <KindSelect filters={filters} onChange={onChange} />
        <Typed
          key={`by ${filters.by}`}
          label={labels.requestedBy}
          placeholder={labels.requestedBy}
          value={filters.by}
          onChange={(by) => onChange({ ...filters, by })}
        />
        <TimeSelect filters={filters} onChange={onChange} />
      </SpaceBetween>
    </SpaceBetween>
  );
}

interface TypedProps {
  label: string;
  placeholder: string;
  type?: "search" | "text";
  value: string | null;
  onChange(value: string | null): void;
}

/** A text that counts when it is finished: with Enter, or when the field is left or cleared. */
function Typed({ label, placeholder, type = "text", value, onChange }: TypedProps) {
  const [text, setText] = useState(value ?? "");
  const finish = (typed: string) => {
    const wanted = typed.trim() || null;
    if (wanted !== value) onChange(wanted);
  };
  return (
    <Input
      type={type}
      ariaLabel={label}
      placeholder={placeholder}
      clearAriaLabel={t().transfers.clear}
      value={text}
      onChange={({ detail }) => {
        setText(detail.value);
        if (type === "search" && detail.value === "") finish("");
      }}
      onKeyDown={({ detail }) => detail.key === "Enter" && finish(text)}
      onBlur={() => finish(text)}
    />
  );
}

function StateSelect({ filters, onChange }: Props) {
  const all = { label: t().transfers.everyState, value: "" };
  const states = TRANSFER_STATES.map((value) => ({ value, label: stateDisplay(value).label }));
  const attention = ATTENTION.map((value) => ({
    value: `${ATTENTION_PREFIX}${value}`,
    label: `${t().overview.attention}: ${stateDisplay(value).label}`,
  }));
  const chosen = filters.attention ? `${ATTENTION_PREFIX}${filters.attention}` : (filters.status ?? "");
  return (
    <Select
      ariaLabel={t().transfers.state}
      options={[all, ...states, ...attention]}
      selectedOption={[...states, ...attention].find((one) => one.value === chosen) ?? all}
      onChange={({ detail }) => onChange({ ...filters, ...readState(detail.selectedOption.value ?? "") })}
    />
  );
}

/** Return the filters that an option of the state selects. */
function readState(value: string): Pick<Filters, "status" | "attention"> {
  return value.startsWith(ATTENTION_PREFIX)
    ? { status: null, attention: value.slice(ATTENTION_PREFIX.length) as Attention }
    : { status: (value as TransferState) || null, attention: null };
}

interface NameProps {
  label: string;
  everything: string;
  names: string[];
  value: string | null;
  onChange(value: string | null): void;
  /** Load the names that begin so; without it, all names are here. */
  onSearch?: (text: string) => void;
}

function NameSelect({ label, everything, names, value, onChange, onSearch }: NameProps) {
  const all = { label: everything, value: "" };
  return (
    <Select
      ariaLabel={label}
      options={[all, ...names.map((name) => ({ value: name, label: name }))]}
      filteringType={onSearch ? "manual" : names.length > 10 ? "auto" : "none"}
      filteringPlaceholder={onSearch && t().location.find}
      filteringAriaLabel={onSearch ? t().location.find : label}
      onLoadItems={onSearch && (({ detail }) => onSearch(detail.filteringText))}
      selectedOption={value ? { value, label: value } : all}
      onChange={({ detail }) => onChange(detail.selectedOption.value || null)}
    />
  );
}

function KindSelect({ filters, onChange }: Props) {
  const labels = t().transfers;
  const kinds = [
    { label: labels.everyKind, value: "" },
    { label: labels.realOnly, value: "false" },
    { label: labels.previewsOnly, value: "true" },
  ];
  return (
    <Select
      ariaLabel={labels.kind}
      options={kinds}
      selectedOption={kinds.find((one) => one.value === String(filters.dryRun ?? "")) ?? null}
      onChange={({ detail }) => {
        const { value } = detail.selectedOption;
        onChange({ ...filters, dryRun: value ? value === "true" : null });
      }}
    />
  );
}

function TimeSelect({ filters, onChange }: Props) {
  const labels = t().transfers;
  const [choosing, setChoosing] = useState(false);
  const between = choosing || filters.from !== null || filters.to !== null;
  const ranges: SelectProps.Option[] = [
    ...DAYS.map((value) => ({ value, label: labels.days[value] })),
    { value: BETWEEN, label: labels.between },
  ];
  const untimed = filters.attention || filters.search ? "all" : DEFAULT_DAYS;
  const chosen = between ? BETWEEN : (filters.days ?? untimed);
  const change = (times: Partial<Filters>) => onChange({ ...filters, days: null, ...times });
  return (
    <SpaceBetween direction="horizontal" size="xs">
      <Select
        ariaLabel={labels.time}
        options={ranges}
        selectedOption={ranges.find((one) => one.value === chosen) ?? null}
        onChange={({ detail }) => {
          const { value } = detail.selectedOption;
          setChoosing(value === BETWEEN);
          const days = DAYS.find((one) => one === value) ?? null;
          if (days) change({ days, from: null, to: null });
        }}
      />
      {between && <Dates from={filters.from} to={filters.to} onChange={change} />}
    </SpaceBetween>
  );
}

interface DatesProps {
  from: string | null;
  to: string | null;
  onChange(times: Pick<Filters, "from" | "to">): void;
}

/** The first and the last day of a time range. */
function Dates(props: DatesProps) {
  const labels = t().transfers;
  const [from, setFrom] = useState(props.from ?? "");
  const [to, setTo] = useState(props.to ?? "");
  return (
    <SpaceBetween direction="horizontal" size="xs" alignItems="end">
      <FormField label={labels.firstDay}>
        <DateInput value={from} onChange={({ detail }) => setFrom(detail.value)} placeholder={labels.day} />
      </FormField>
      <FormField label={labels.lastDay}>
        <DateInput value={to} onChange={({ detail }) => setTo(detail.value)} placeholder={labels.day} />
      </FormField>
      <Button onClick={() => props.onChange({ from: from || null, to: to || null })}>{labels.apply}</Button>
    </SpaceBetween>
  );
}
