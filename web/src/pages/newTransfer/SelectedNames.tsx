import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import { NameList } from "../../components/text";
import { t } from "../../i18n";
import { type Draft, draftText } from "../../model/locations";
import { namesOf } from "../../model/selection";

interface Props {
  source: Draft;
  include: readonly string[];
  onClear(): void;
}

/** Which names of the source will be sent, if only some were selected. */
export function SelectedNames({ source, include, onClear }: Props) {
  const names = namesOf(include);
  if (!names) return null;
  const labels = t().newTransfer;
  return (
    <Alert
      type="info"
      action={
        <Button formAction="none" onClick={onClear}>
          {labels.everything}
        </Button>
      }
    >
      {labels.only(names.length, draftText(source))} <NameList names={names} />
      {names.some((name) => name.endsWith("/")) && <div>{labels.noEmpty}</div>}
    </Alert>
  );
}
