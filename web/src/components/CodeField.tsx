import Button from "@cloudscape-design/components/button";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { type ReactNode, useId, useRef } from "react";

/** A piece of the text with its CSS class. */
export interface CodePiece {
  kind: string;
  text: string;
  wrong?: boolean;
}

export interface CodeFlaw {
  /** Offset in the text, where the cursor is put. */
  at: number;
  /** Where it is, in words: `Line 3, column 8:`. */
  position: string;
  message: ReactNode;
}

interface Props {
  label: string;
  value: string;
  /** The text again, in pieces. */
  pieces: readonly CodePiece[];
  flaws: readonly CodeFlaw[];
  rows: number;
  onChange(value: string): void;
}

/** Editor for code: a text area over its highlighted text, with errors marked in place and listed below. */
export function CodeField({ label, value, pieces, flaws, rows, onChange }: Props) {
  const field = useRef<HTMLTextAreaElement>(null);
  const list = useId();

  function show({ at }: CodeFlaw): void {
    field.current?.focus();
    field.current?.setSelectionRange(at, at);
  }

  let end = 0;
  return (
    <div>
      <div className="code">
        <pre aria-hidden="true">
          {pieces.map(({ kind, text, wrong }) => {
            end += text.length;
            return (
              <span key={end} className={wrong ? `${kind} wrong` : kind}>
                {text}
              </span>
            );
          })}
          {"\n"}
        </pre>
        <textarea
          ref={field}
          aria-label={label}
          aria-invalid={flaws.length > 0}
          aria-describedby={list}
          value={value}
          onChange={(event) => onChange(event.target.value)}
          rows={Math.max(rows, value.split("\n").length + 1)}
          spellCheck={false}
          autoCapitalize="off"
          autoComplete="off"
        />
      </div>
      <ul id={list} className="plain" aria-live="polite">
        {flaws.map((flaw, number) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two flaws may be alike, and none keeps a state
          <li key={number}>
            <StatusIndicator type="error">
              <Button variant="inline-link" formAction="none" onClick={() => show(flaw)}>
                {flaw.position}
              </Button>{" "}
              {flaw.message}
            </StatusIndicator>
          </li>
        ))}
      </ul>
    </div>
  );
}
