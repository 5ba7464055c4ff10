import AttributeEditor, { type AttributeEditorProps } from "@cloudscape-design/components/attribute-editor";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import { t } from "../../i18n";
import type { Root } from "../../types";
import { MAX_ROOTS, NEW_ROOT, rootError } from "./roots";

/** One row per root if the window is wide enough. */
const LAYOUT: AttributeEditorProps.GridLayout[] = [
  { breakpoint: "xxs", rows: [[3, 2]], removeButton: { width: "auto" } },
  { rows: [[1], [1]], removeButton: { ownRow: true } },
];

interface Props {
  value: readonly Root[];
  onChange(roots: readonly Root[]): void;
  /** Whether to show validation errors: the form was submitted. */
  showErrors: boolean;
  /** Return the API's error about one of them. */
  errorFor(number: number): string;
}

/** Editor for the roots of an agent: path and access. */
export function RootsFields({ value, onChange, showErrors, errorFor }: Props) {
  const labels = t().addAgent;
  const accesses = [
    { value: "rw" as const, label: t().browser.rw },
    { value: "ro" as const, label: t().browser.ro },
  ];
  const change = (number: number, next: Partial<Root>) =>
    onChange(value.map((one, at) => (at === number ? { ...one, ...next } : one)));
  return (
    <FormField label={t().agent.roots} description={labels.rootsHint} stretch>
      <AttributeEditor
        items={value}
        gridLayout={LAYOUT}
        addButtonText={labels.addRoot}
        removeButtonText={t().common.remove}
        removeButtonAriaLabel={({ path }) => labels.removeRoot(path)}
        isItemRemovable={() => value.length > 1}
        disableAddButton={value.length >= MAX_ROOTS}
        onAddButtonClick={() => onChange([...value, NEW_ROOT])}
        onRemoveButtonClick={({ detail }) => onChange(value.filter((_, at) => at !== detail.itemIndex))}
        definition={[
          {
            label: labels.rootPath,
            errorText: (_, number) => (showErrors && rootError(value, number)) || errorFor(number) || null,
            control: ({ path }, number) => (
              <Input
                value={path}
                placeholder="/data"
                spellcheck={false}
                onChange={({ detail }) => change(number, { path: detail.value })}
              />
            ),
          },
          {
            label: t().browser.access,
            control: ({ access }, number) => (
              <Select
                options={accesses}
                selectedOption={accesses.find((one) => one.value === access) ?? null}
                onChange={({ detail }) =>
                  change(number, { access: detail.selectedOption.value as Root["access"] })
                }
              />
            ),
          },
        ]}
      />
    </FormField>
  );
}
