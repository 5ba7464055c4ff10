import FormField from "@cloudscape-design/components/form-field";
import Textarea from "@cloudscape-design/components/textarea";
import { t } from "../../i18n";
import type { TemplateRequest } from "../../types";
import { parseYaml, toYaml } from "./yaml";

interface Props {
  /** The edited text; null: generated from `start`. */
  source: string | null;
  start: TemplateRequest;
  /** Name of the template being edited; null for a new one. */
  known: string | null;
  /** Called with the text, and the parsed request or null if it is invalid. */
  onChange(source: string, said: TemplateRequest | null): void;
}

/** Editor for a template as YAML, validated on every change. */
export function YamlField({ source, start, known, onChange }: Props) {
  const labels = t().template;
  const text = source ?? toYaml(start);
  // Generated text is validated only once it is edited: it may not have a name yet.
  const { faults } = source === null ? { faults: [] } : parse(source, known);
  return (
    <FormField
      label={labels.yaml}
      description={labels.yamlHint}
      stretch
      errorText={faults.length > 0 && faults.map((fault) => <div key={fault}>{fault}</div>)}
    >
      <div className="yaml">
        <Textarea
          value={text}
          onChange={({ detail }) => onChange(detail.value, parse(detail.value, known).said)}
          rows={Math.max(16, text.split("\n").length)}
          spellcheck={false}
          // The lines that are wrong are named below: red text would be harder to mend.
          invalid={false}
          disableBrowserAutocorrect
          autoComplete={false}
        />
      </div>
    </FormField>
  );
}

function parse(text: string, known: string | null): { said: TemplateRequest | null; faults: string[] } {
  const labels = t().template;
  const found = parseYaml(text);
  if ("errors" in found)
    return { said: null, faults: found.errors.map(({ line, what }) => labels.yamlError(line, what)) };
  return known === null || found.request.name === known
    ? { said: found.request, faults: [] }
    : { said: null, faults: [labels.yamlName(known)] };
}
