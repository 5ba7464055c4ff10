import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select, { type SelectProps } from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { Options } from "../types";

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

type Choices<K extends keyof Options> = { value: NonNullable<Options[K]> & string; label: string }[];

const OVERWRITE: Choices<"overwrite"> = [
  { value: "always", label: "Replace it" },
  { value: "newer", label: "Replace it by a newer one only" },
  { value: "never", label: "Leave it as it is" },
  { value: "fail", label: "Stop with an error" },
];
const VERIFY: Choices<"verify"> = [
  { value: "transfer", label: "While it arrives" },
  { value: "reread", label: "While it arrives, and read back from the disk" },
];
const SYMLINKS: Choices<"symlinks"> = [
  { value: "keep", label: "Keep them as links" },
  { value: "skip", label: "Leave them out" },
  { value: "follow", label: "Send what they point to" },
];
const IF_OFFLINE: Choices<"if_offline"> = [
  { value: "queue", label: "Wait for it" },
  { value: "refuse", label: "Refuse the transfer" },
];

const MIB = 2 ** 20;

/** How it is to be carried out. The defaults lose nothing. */
export function OptionsFields({ value, onChange }: Props) {
  const set =
    <K extends keyof Options>(name: K) =>
    (next: Options[K]) =>
      onChange({ ...value, [name]: next });
  return (
    <SpaceBetween size="m">
      <Choice
        label="A file at the destination that differs"
        choices={OVERWRITE}
        value={value.overwrite}
        onChange={set("overwrite")}
      />
      <Choice label="Check every file" choices={VERIFY} value={value.verify} onChange={set("verify")} />
      <Choice label="Symbolic links" choices={SYMLINKS} value={value.symlinks} onChange={set("symlinks")} />
      <Choice
        label="When an agent is offline"
        choices={IF_OFFLINE}
        value={value.if_offline}
        onChange={set("if_offline")}
      />
      <Amount
        label="Parallel connections"
        constraint="1 to 16; left empty, the agent chooses"
        value={value.streams}
        onChange={set("streams")}
      />
      <Amount
        label="Speed limit (MiB/s)"
        constraint="Left empty: as fast as it goes"
        value={value.bandwidth_limit === null ? null : value.bandwidth_limit / MIB}
        onChange={(limit) => set("bandwidth_limit")(limit === null ? null : Math.round(limit * MIB))}
      />
    </SpaceBetween>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  choices: { value: T; label: string }[];
  value: T;
  onChange(value: T): void;
}

function Choice<T extends string>({ label, choices, value, onChange }: ChoiceProps<T>) {
  const pick: SelectProps["onChange"] = ({ detail }) => {
    const chosen = choices.find((one) => one.value === detail.selectedOption.value);
    if (chosen) onChange(chosen.value);
  };
  return (
    <FormField label={label}>
      <Select
        options={choices}
        selectedOption={choices.find((one) => one.value === value) ?? null}
        onChange={pick}
      />
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
