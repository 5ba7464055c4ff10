import Button from "@cloudscape-design/components/button";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, useState } from "react";
import { AUDIT_BY, AUDIT_DAYS, type AuditFilter } from "../../hooks/queries";
import { t } from "../../i18n";
import { go, hrefWith } from "../../router";

/** Search form of the audit: person, agent, transfer or text, and time range. */
export function AuditFilters({ filter }: { filter: AuditFilter }) {
  const labels = t().audit;
  const [by, setBy] = useState(filter.by);
  const [value, setValue] = useState(filter.value);
  const kinds = AUDIT_BY.map((one) => ({ value: one, label: labels.kinds[one] }));
  const spans = AUDIT_DAYS.map((days) => ({ value: String(days), label: labels.days(days) }));

  function show(days: number, what: string): void {
    go(hrefWith("audit", { by: what && by, value: what, days: String(days) }));
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    show(filter.days, value.trim());
  }

  return (
    <form onSubmit={submit}>
      <SpaceBetween direction="horizontal" size="xs">
        <Select
          ariaLabel={labels.by}
          options={kinds}
          selectedOption={kinds.find((one) => one.value === by) ?? null}
          onChange={({ detail }) => setBy(AUDIT_BY.find((one) => one === detail.selectedOption.value) ?? by)}
        />
        <Input
          ariaLabel={labels.value}
          type="search"
          value={value}
          placeholder={labels.examples[by]}
          spellcheck={false}
          onChange={({ detail }) => {
            setValue(detail.value);
            if (!detail.value && filter.value) show(filter.days, "");
          }}
        />
        <Button>{labels.search}</Button>
        <Select
          ariaLabel={labels.since}
          options={spans}
          selectedOption={spans.find((one) => one.value === String(filter.days)) ?? null}
          onChange={({ detail }) => show(Number(detail.selectedOption.value), filter.value)}
        />
      </SpaceBetween>
    </form>
  );
}
