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
  tried: boolean;
  /** Return the API's error about one of them. */
  faultAt(number: number): string;
}

/** Editor for the roots of an agent: path and access. */
export function RootsFields({ value, onChange, tried, faultAt }: Props) {
  const words = t().addAgent;
  const accesses = [
    { value: "rw" as const, label: t().browser.rw },
    { value: "ro" as const, label: t().browser.ro },
  ];
  const change = (number: number, next: Partial<Root>) =>
    onChange(value.map((one, at) => (at === number ? { ...one, ...next } : one)));
  return (
    <FormField label={t().agent.roots} description={words.rootsHint} stretch>
      <AttributeEditor
        items={value}
        gridLayout={LAYOUT}
        addButtonText={words.addRoot}
        removeButtonText={t().common.remove}
        removeButtonAriaLabel={({ path }) => words.removeRoot(path)}
        isItemRemovable={() => value.length > 1}
        disableAddButton={value.length >= MAX_ROOTS}
        onAddButtonClick={() => onChange([...value, NEW_ROOT])}
        onRemoveButtonClick={({ detail }) => onChange(value.filter((_, at) => at !== detail.itemIndex))}
        definition={[
          {
            label: words.rootPath,
            errorText: (_, number) => (tried && rootError(value, number)) || faultAt(number) || null,
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
