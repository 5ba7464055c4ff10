import FormField from "@cloudscape-design/components/form-field";
import Textarea from "@cloudscape-design/components/textarea";
import { t } from "../../i18n";
import type { TemplateRequest } from "../../types";
import { parseYaml, toYaml } from "./yaml";

interface Props {
  /** Null: as `start` is written. */
  source: string | null;
  start: TemplateRequest;
  /** The name of the template that is edited; null for a new one. */
  known: string | null;
  /** The text, and what it says; null while something is wrong with it. */
  onChange(source: string, said: TemplateRequest | null): void;
}

/** The template as text, checked with every letter. */
export function YamlField({ source, start, known, onChange }: Props) {
  const words = t().template;
  const text = source ?? toYaml(start);
  // What a form has written is checked when somebody changes it: it may have no name yet.
  const { faults } = source === null ? { faults: [] } : parse(source, known);
  return (
    <FormField
      label={words.yaml}
      description={words.yamlHint}
      stretch
      errorText={faults.length > 0 && faults.map((fault) => <div key={fault}>{fault}</div>)}
    >
      <div className="yaml">
        <Textarea
          value={text}
          onChange={({ detail }) => onChange(detail.value, parse(detail.value, known).said)}
          rows={Math.max(16, text.split("\n").length)}
          spellcheck={false}
          disableBrowserAutocorrect
          autoComplete={false}
        />
      </div>
    </FormField>
  );
}

function parse(text: string, known: string | null): { said: TemplateRequest | null; faults: string[] } {
  const words = t().template;
  const found = parseYaml(text);
  if ("faults" in found)
    return { said: null, faults: found.faults.map(({ line, what }) => words.yamlFault(line, what)) };
  return known === null || found.request.name === known
    ? { said: found.request, faults: [] }
    : { said: null, faults: [words.yamlName(known)] };
}
