import Button from "@cloudscape-design/components/button";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useRef } from "react";
import { Name } from "../../components/text";
import { t } from "../../i18n";
import { type CedarError, highlight, offsetOf } from "./cedar";

interface Props {
  value: string;
  errors: readonly CedarError[];
  onChange(value: string): void;
}

/** Editor for Cedar: a text area over its highlighted text, with errors marked in place. */
export function CedarField({ value, errors, onChange }: Props) {
  const labels = t().policy;
  const field = useRef<HTMLTextAreaElement>(null);

  function show(error: CedarError): void {
    const at = offsetOf(value, error);
    field.current?.focus();
    field.current?.setSelectionRange(at, at);
  }

  let at = 0;
  return (
    <div>
      <div className="cedar">
        <pre aria-hidden="true">
          {highlight(value, errors).map(({ kind, text, wrong }) => {
            at += text.length;
            return (
              <span key={at} className={wrong ? `${kind} wrong` : kind}>
                {text}
              </span>
            );
          })}
          {"\n"}
        </pre>
        <textarea
          ref={field}
          aria-label={labels.text}
          aria-invalid={errors.length > 0}
          aria-describedby="cedar-flaws"
          value={value}
          onChange={(event) => onChange(event.target.value)}
          rows={Math.max(12, value.split("\n").length + 1)}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
        />
      </div>
      <ul id="cedar-flaws" className="plain" aria-live="polite">
        {errors.map((flaw) => (
          <li key={`${flaw.line} ${flaw.column} ${flaw.message}`}>
            <StatusIndicator type="error">
              <Button variant="inline-link" formAction="none" onClick={() => show(flaw)}>
                {labels.position(flaw.line, flaw.column)}
              </Button>{" "}
              <Name>{flaw.message}</Name>
            </StatusIndicator>
          </li>
        ))}
      </ul>
    </div>
  );
}
