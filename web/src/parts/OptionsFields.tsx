import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select, { type SelectProps } from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { Options } from "../types";
import { t } from "../words";

export const DEFAULT_OPTIONS: Options = {
  include: [],
  exclude: [],
  compare: "time",
  delete_extra: false,
  move: false,
  dry_run: false,
  bandwidth_windows: [],
  priority: "normal",
  overwrite: "always",
  verify: "transfer",
  symlinks: "keep",
  streams: null,
  bandwidth_limit: null,
  if_offline: "queue",
};

interface Props {
  value: Options;
  onChange(value: Options): void;
}

const MIB = 2 ** 20;

/** How it is to be carried out. The defaults lose nothing. */
export function OptionsFields({ value, onChange }: Props) {
  const words = t().options;
  const set =
    <K extends keyof Options>(name: K) =>
    (next: Options[K]) =>
      onChange({ ...value, [name]: next });
  return (
    <SpaceBetween size="m">
      <Choice
        label={words.differs}
        choices={choices(words.overwrite, words.overwriteHints)}
        value={value.overwrite}
        onChange={set("overwrite")}
      />
      <Choice
        label={words.check}
        choices={choices(words.verify, words.verifyHints)}
        value={value.verify}
        onChange={set("verify")}
      />
      <Choice
        label={words.links}
        choices={choices(words.symlinks, words.symlinkHints)}
        value={value.symlinks}
        onChange={set("symlinks")}
      />
      <Choice
        label={words.offline}
        choices={choices(words.ifOffline, words.offlineHints)}
        value={value.if_offline}
        onChange={set("if_offline")}
      />
      <Amount
        label={words.streams}
        constraint={words.streamsHint}
        value={value.streams}
        onChange={set("streams")}
      />
      <Amount
        label={words.limit}
        constraint={words.limitHint}
        value={value.bandwidth_limit === null ? null : value.bandwidth_limit / MIB}
        onChange={(limit) => set("bandwidth_limit")(limit === null ? null : Math.round(limit * MIB))}
      />
    </SpaceBetween>
  );
}

interface Chosen<T extends string> {
  value: T;
  label: string;
  description: string;
}

function choices<T extends string>(labels: Record<T, string>, hints: Record<T, string>): Chosen<T>[] {
  const values = Object.keys(labels) as T[];
  return values.map((value) => ({ value, label: labels[value], description: hints[value] }));
}

interface ChoiceProps<T extends string> {
  label: string;
  choices: Chosen<T>[];
  value: T;
  onChange(value: T): void;
}

function Choice<T extends string>({ label, choices, value, onChange }: ChoiceProps<T>) {
  const pick: SelectProps["onChange"] = ({ detail }) => {
    const chosen = choices.find((one) => one.value === detail.selectedOption.value);
    if (chosen) onChange(chosen.value);
  };
  const now = choices.find((one) => one.value === value);
  return (
    <FormField label={label} constraintText={now?.description}>
      <Select triggerVariant="label" options={choices} selectedOption={now ?? null} onChange={pick} />
    </FormField>
  );
}

interface AmountProps {
  label: string;
  constraint: string;
  value: number | null;
  onChange(value: number | null): void;
}

function Amount({ label, constraint, value, onChange }: AmountProps) {
  return (
    <FormField label={label} constraintText={constraint}>
      <Input
        type="number"
        inputMode="numeric"
        value={value === null ? "" : String(value)}
        onChange={({ detail }) => onChange(Number(detail.value) > 0 ? Number(detail.value) : null)}
      />
    </FormField>
  );
}
