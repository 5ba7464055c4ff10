import FormField from "@cloudscape-design/components/form-field";
import TagEditor, { type TagEditorProps } from "@cloudscape-design/components/tag-editor";
import { t } from "../i18n";

export type Tag = TagEditorProps.Tag;

interface Props {
  value: readonly Tag[];
  onChange(tags: readonly Tag[], valid: boolean): void;
}

/** Editor for the tags of an agent. */
export function TagsEditor({ value, onChange }: Props) {
  return (
    <FormField label={t().common.tags} description={t().agent.tagsHint} stretch>
      <TagEditor
        tags={value}
        tagLimit={20}
        keysRequest={() => Promise.resolve([])}
        valuesRequest={() => Promise.resolve([])}
        onChange={({ detail }) => onChange(detail.tags, detail.valid)}
      />
    </FormField>
  );
}

export function toEditorTags(tags: Record<string, string>): Tag[] {
  return Object.entries(tags).map(([key, value]) => ({ key, value, existing: true }));
}

/** Return the tags for the API, without removed ones. */
export function tagsForApi(tags: readonly Tag[]): Record<string, string> {
  const kept = tags.filter((tag) => !tag.markedForRemoval && tag.key);
  return Object.fromEntries(kept.map((tag) => [tag.key, tag.value]));
}
