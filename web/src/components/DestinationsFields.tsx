import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import RadioGroup from "@cloudscape-design/components/radio-group";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { t } from "../i18n";
import { arrivalText, type Draft, draftError, EMPTY } from "../model/locations";
import type { TransferRequest } from "../types";
import { LocationField } from "./LocationField";

type Shape = NonNullable<TransferRequest["shape"]>;

/** A destination with a stable React key. */
export interface Row {
  id: number;
  draft: Draft;
}

export const MAX_DESTINATIONS = 50;

let ids = 0;
export function row(draft: Draft = EMPTY): Row {
  ids += 1;
  return { id: ids, draft };
}

interface Props {
  rows: Row[];
  onChange(rows: Row[]): void;
  /** Whether to show validation errors: the form was submitted. */
  showErrors: boolean;
  /** Whether every destination must be a directory, as in a template. */
  directories?: boolean;
  source?: Draft;
  errorFor?(number: number): string;
}

export function DestinationsFields({
  rows,
  onChange,
  showErrors,
  directories = false,
  source,
  errorFor,
}: Props) {
  const change = (id: number, draft: Draft) =>
    onChange(rows.map((one) => (one.id === id ? { id, draft } : one)));
  return (
    <SpaceBetween size="m">
      {rows.map(({ id, draft }, number) => (
        <LocationField
          key={id}
          label={
            rows.length > 1 ? t().newTransfer.destinationNumber(number + 1) : t().newTransfer.destination
          }
          description={source && arrivalText(source, draft)}
          value={draft}
          end="destination"
          error={(showErrors && draftError(draft, directories)) || errorFor?.(number) || ""}
          onChange={(next) => change(id, next)}
          onRemove={rows.length > 1 ? () => onChange(rows.filter((one) => one.id !== id)) : undefined}
        />
      ))}
      <Button
        iconName="add-plus"
        formAction="none"
        disabled={rows.length >= MAX_DESTINATIONS}
        onClick={() => onChange([...rows, row()])}
      >
        {t().newTransfer.add}
      </Button>
    </SpaceBetween>
  );
}

export function ShapeField({ value, onChange }: { value: Shape; onChange(value: Shape): void }) {
  return (
    <FormField label={t().newTransfer.order}>
      <RadioGroup
        value={value}
        onChange={({ detail }) => onChange(detail.value as Shape)}
        items={[
          {
            value: "fan_out",
            label: t().newTransfer.fanOut,
            description: t().newTransfer.fanOutHint,
          },
          {
            value: "chain",
            label: t().newTransfer.chain,
            description: t().newTransfer.chainHint,
          },
        ]}
      />
    </FormField>
  );
}
