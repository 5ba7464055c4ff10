import { CodeField } from "../../components/CodeField";
import { Name } from "../../components/text";
import { t } from "../../i18n";
import { type CedarError, highlight, offsetOf } from "./cedar";

interface Props {
  value: string;
  errors: readonly CedarError[];
  onChange(value: string): void;
}

/** Editor for Cedar. */
export function CedarField({ value, errors, onChange }: Props) {
  const labels = t().policy;
  return (
    <CodeField
      label={labels.text}
      value={value}
      pieces={highlight(value, errors)}
      flaws={errors.map((flaw) => ({
        at: offsetOf(value, flaw),
        position: labels.position(flaw.line, flaw.column),
        message: <Name>{flaw.message}</Name>,
      }))}
      rows={12}
      onChange={onChange}
    />
  );
}
