import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Multiselect from "@cloudscape-design/components/multiselect";
import SpaceBetween from "@cloudscape-design/components/space-between";
import TimeInput from "@cloudscape-design/components/time-input";
import { describeWindow } from "../../format/options";
import { t } from "../../i18n";
import { SPEED } from "../../model/options";
import type { Options } from "../../types";
import { AmountInput } from "./fields";

type Window = Options["bandwidth_windows"][number];
type Day = Window["days"][number];

const MAX_WINDOWS = 20;
const HH_MM = 5;
export const DAYS: Day[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

interface Props {
  value: readonly Window[];
  error?: string;
  onChange(value: Window[]): void;
}

/** Rows of hours with their own speed limit; the first matching row applies. */
export function BandwidthWindows({ value, error, onChange }: Props) {
  const labels = t().options;
  const change = (number: number, next: Partial<Window>) =>
    onChange(value.map((one, at) => (at === number ? { ...one, ...next } : one)));
  return (
    <FormField label={labels.windows} description={labels.windowsHint} errorText={error} stretch>
      <SpaceBetween size="s">
        {value.map((one, number) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a window is nothing but its place in the order
          <fieldset key={number} aria-label={describeWindow(one)} className="window">
            <Row
              value={one}
              onChange={(next) => change(number, next)}
              onRemove={() => onChange(value.filter((_, at) => at !== number))}
            />
          </fieldset>
        ))}
        <Button
          iconName="add-plus"
          formAction="none"
          disabled={value.length >= MAX_WINDOWS}
          onClick={() => onChange([...value, workingHours()])}
        >
          {labels.addWindow}
        </Button>
      </SpaceBetween>
    </FormField>
  );
}

interface RowProps {
  value: Window;
  onChange(change: Partial<Window>): void;
  onRemove(): void;
}

function Row({ value, onChange, onRemove }: RowProps) {
  const labels = t().options;
  const days = DAYS.map((day) => ({ value: day, label: labels.days[day] }));
  return (
    <>
      <Multiselect
        ariaLabel={labels.onDays}
        options={days}
        selectedOptions={days.filter((one) => value.days.includes(one.value))}
        placeholder={labels.everyDay}
        hideTokens={false}
        onChange={({ detail }) => {
          const chosen = new Set(detail.selectedOptions.map((one) => one.value));
          onChange({ days: DAYS.filter((day) => chosen.has(day)) });
        }}
      />
      <TimeInput
        ariaLabel={labels.from}
        format="hh:mm"
        placeholder="08:00"
        value={value.start.slice(0, HH_MM)}
        onChange={({ detail }) => onChange({ start: detail.value })}
      />
      <TimeInput
        ariaLabel={labels.until}
        format="hh:mm"
        placeholder="18:00"
        value={value.end.slice(0, HH_MM)}
        onChange={({ detail }) => onChange({ end: detail.value })}
      />
      <Input
        ariaLabel={labels.zone}
        value={value.zone}
        onChange={({ detail }) => onChange({ zone: detail.value })}
        spellcheck={false}
      />
      <FormField errorText={value.limit === 0 ? labels.limitError : ""}>
        <AmountInput
          ariaLabel={labels.limit}
          placeholder={labels.noLimit}
          measure={SPEED}
          value={value.limit}
          onChange={(limit) => onChange({ limit })}
        />
      </FormField>
      <Button
        variant="icon"
        iconName="remove"
        formAction="none"
        ariaLabel={labels.removeWindow(describeWindow(value))}
        onClick={onRemove}
      />
    </>
  );
}

/** Return the initial row: working hours in the viewer's time zone. */
function workingHours(): Window {
  return {
    days: DAYS.slice(0, 5),
    start: "08:00",
    end: "18:00",
    zone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC",
    limit: 10 * SPEED.unit,
  };
}
