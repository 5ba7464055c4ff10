/** Form fields for transfer options. */
import Checkbox from "@cloudscape-design/components/checkbox";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select, { type SelectProps } from "@cloudscape-design/components/select";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Textarea from "@cloudscape-design/components/textarea";
import { useState } from "react";
import { amountOf, amountText, patterns, type Unit } from "../../model/options";

export interface Option<T extends string> {
  value: T;
  label: string;
  description?: string;
  disabled?: boolean;
  disabledReason?: string;
}

export function choices<T extends string>(labels: Record<T, string>, hints: Record<T, string>): Option<T>[] {
  const values = Object.keys(labels) as T[];
  return values.map((value) => ({ value, label: labels[value], description: hints[value] }));
}

interface ChoiceProps<T extends string> {
  label: string;
  choices: Option<T>[];
  value: T;
  /** What holds for every choice; without it, the description of the chosen one is shown. */
  constraint?: string;
  error?: string;
  onChange(value: T): void;
}

export function Choice<T extends string>(props: ChoiceProps<T>) {
  const { label, choices, value, constraint, error, onChange } = props;
  const pick: SelectProps["onChange"] = ({ detail }) => {
    const chosen = choices.find((one) => one.value === detail.selectedOption.value);
    if (chosen) onChange(chosen.value);
  };
  const now = choices.find((one) => one.value === value);
  return (
    <FormField label={label} constraintText={constraint ?? now?.description} errorText={error}>
      <Select triggerVariant="label" options={choices} selectedOption={now ?? null} onChange={pick} />
    </FormField>
  );
}

interface AmountInputProps {
  measure: Unit;
  value: number | null;
  onChange(value: number | null): void;
  ariaLabel?: string;
  placeholder?: string;
}

/** Text field for an amount that keeps the text as typed. An `<input type=number>` hides invalid text. */
export function AmountInput({ measure, value, onChange, ...rest }: AmountInputProps) {
  const [text, setText] = useState("");
  function change(next: string): void {
    setText(next);
    onChange(amountOf(next, measure));
  }
  return (
    <Input
      {...rest}
      inputMode="decimal"
      autoComplete={false}
      invalid={value === 0}
      value={amountOf(text, measure) === value ? text : amountText(value, measure)}
      onChange={({ detail }) => change(detail.value)}
    />
  );
}

interface AmountProps extends Omit<AmountInputProps, "ariaLabel" | "placeholder"> {
  label: string;
  constraint: string;
  /** Error shown if the text is not a valid amount. */
  invalidText: string;
  error?: string;
}

export function Amount({ label, constraint, invalidText, error, ...rest }: AmountProps) {
  return (
    <FormField label={label} constraintText={constraint} errorText={rest.value === 0 ? invalidText : error}>
      <AmountInput {...rest} />
    </FormField>
  );
}

interface PatternsProps {
  label: string;
  constraint: string;
  example: string;
  value: readonly string[];
  error?: string;
  onChange(value: string[]): void;
}

/** Text area with one pattern a line. */
export function Patterns({ label, constraint, example, value, error, onChange }: PatternsProps) {
  const [text, setText] = useState(() => value.join("\n"));
  function change(next: string): void {
    setText(next);
    onChange(patterns(next));
  }
  return (
    <FormField label={label} constraintText={constraint} errorText={error}>
      <Textarea
        value={text}
        onChange={({ detail }) => change(detail.value)}
        placeholder={example}
        rows={2}
        spellcheck={false}
      />
    </FormField>
  );
}

interface DangerousOptionProps {
  label: string;
  hint: string;
  /** Shown while the option is on. */
  warning: string;
  /** Why the option is disabled; empty if it is available. */
  unavailable: string;
  value: boolean;
  error?: string;
  onChange(value: boolean): void;
}

/** A checkbox for an option that removes files. */
export function DangerousOption({
  label,
  hint,
  warning,
  unavailable,
  value,
  error,
  onChange,
}: DangerousOptionProps) {
  return (
    <FormField errorText={error}>
      <Checkbox
        checked={value}
        disabled={unavailable !== "" && !value}
        description={unavailable || hint}
        onChange={({ detail }) => onChange(detail.checked)}
      >
        {label}
      </Checkbox>
      {value && <StatusIndicator type="warning">{warning}</StatusIndicator>}
    </FormField>
  );
}
