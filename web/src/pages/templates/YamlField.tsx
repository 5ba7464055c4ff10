import FormField from "@cloudscape-design/components/form-field";
import { CodeField } from "../../components/CodeField";
import { Name } from "../../components/text";
import { t } from "../../i18n";
import type { TemplateRequest } from "../../types";
import { lineOffset, marked, parseYaml, toYaml, type YamlError } from "./yaml";

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
  const { errors } = source === null ? { errors: [] } : parse(source, known);
  return (
    <FormField label={labels.yaml} description={labels.yamlHint} stretch>
      <CodeField
        label={labels.yaml}
        value={text}
        pieces={marked(text, errors)}
        flaws={errors.map(({ line, what }) => ({
          at: lineOffset(text, line),
          position: labels.yamlLine(line),
          message: <Name>{what}</Name>,
        }))}
        rows={16}
        onChange={(next) => onChange(next, parse(next, known).said)}
      />
    </FormField>
  );
}

function parse(text: string, known: string | null): { said: TemplateRequest | null; errors: YamlError[] } {
  const found = parseYaml(text);
  if ("errors" in found) return { said: null, errors: found.errors };
  if (known === null || found.request.name === known) return { said: found.request, errors: [] };
  const line = text.split("\n").findIndex((one) => one.startsWith("name")) + 1;
  return { said: null, errors: [{ line: line || 1, what: t().template.yamlName(known) }] };
}
