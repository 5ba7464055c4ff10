import FormField from "@cloudscape-design/components/form-field";
import Textarea from "@cloudscape-design/components/textarea";
import { useState } from "react";
import type { TemplateRequest } from "../../types";
import { t } from "../../words";
import { read, written } from "./yaml";

interface Props {
  start: TemplateRequest;
  /** The name of the template that is edited; null for a new one. */
  known: string | null;
  /** What the text says; null while something is wrong with it. */
  onRead(request: TemplateRequest | null): void;
}

/** The template as text, checked with every letter. */
export function YamlField({ start, known, onRead }: Props) {
  const words = t().template;
  const [source, setSource] = useState(() => written(start));
  const [faults, setFaults] = useState<string[]>([]);
  function change(next: string): void {
    setSource(next);
    const found = read(next);
    const wrong = "faults" in found ? found.faults.map(({ line, what }) => words.yamlFault(line, what)) : [];
    if ("request" in found && known !== null && found.request.name !== known)
      wrong.push(words.yamlName(known));
    setFaults(wrong);
    onRead("request" in found && wrong.length === 0 ? found.request : null);
  }
  return (
    <FormField
      label={words.yaml}
      description={words.yamlHint}
      stretch
      errorText={faults.length > 0 && faults.map((fault) => <div key={fault}>{fault}</div>)}
    >
      <div className="yaml">
        <Textarea
          value={source}
          onChange={({ detail }) => change(detail.value)}
          rows={Math.max(16, source.split("\n").length)}
          spellcheck={false}
          disableBrowserAutocorrect
          autoComplete={false}
        />
      </div>
    </FormField>
  );
}
