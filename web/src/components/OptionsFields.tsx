import Alert from "@cloudscape-design/components/alert";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { ReactNode } from "react";
import { tagLines } from "../format/options";
import { t } from "../i18n";
import type { Messages } from "../i18n/en";
import {
  changedOptions,
  DEFAULT_OPTIONS,
  type Ends,
  invalidFields,
  SPEED,
  STORAGE_CLASSES,
  STREAMS,
  type StorageClass,
  tagsOf,
  unavailableReason,
} from "../model/options";
import type { Options } from "../types";
import { BandwidthWindows } from "./options/BandwidthWindows";
import { Amount, Choice, choices, DangerousOption, Patterns } from "./options/fields";

interface Props {
  value: Options;
  onChange(value: Options): void;
  ends: Ends;
  /** Return the API's error about one of them. */
  errorFor?(option: keyof Options): string;
}

type Setter = <K extends keyof Options>(name: K) => (next: Options[K]) => void;

interface PartProps {
  value: Options;
  set: Setter;
  ends: Ends;
  errorFor(option: keyof Options): string;
}

/** Fields for all options of a transfer, with the options that these ends do not support disabled. */
export function OptionsFields({ value, onChange, ends, errorFor }: Props) {
  const set: Setter = (name) => (next) => onChange({ ...value, [name]: next });
  const part: PartProps = { value, set, ends, errorFor: (option) => errorFor?.(option) ?? "" };
  return (
    <SpaceBetween size="l">
      <ExpandableSection
        variant="container"
        headerText={t().newTransfer.options}
        headerDescription={changedOptions(value).join(", ") || t().newTransfer.optionsHint}
      >
        <SpaceBetween size="m">
          {GROUPS.filter(({ id }) => id !== "removal" || !ends.fromTemplate).map((group) => (
            <ExpandableSection
              key={group.id}
              headerText={t().options.groups[group.id]}
              headerDescription={changedOptions(only(value, group.fields)).join(", ")}
              defaultExpanded={group.open}
            >
              <group.Fields {...part} />
            </ExpandableSection>
          ))}
        </SpaceBetween>
      </ExpandableSection>
      {invalidFields(value, ends).map((why) => (
        <Alert key={why} type="error">
          {why}
        </Alert>
      ))}
    </SpaceBetween>
  );
}

function FilterOptions({ value, set, errorFor }: PartProps) {
  const labels = t().options;
  return (
    <SpaceBetween size="m">
      <Patterns
        label={labels.include}
        constraint={labels.includeHint}
        example="*.mov"
        value={value.include}
        error={errorFor("include")}
        onChange={set("include")}
      />
      <Patterns
        label={labels.exclude}
        constraint={labels.excludeHint}
        example="proxies/"
        value={value.exclude}
        error={errorFor("exclude")}
        onChange={set("exclude")}
      />
      <Choice
        label={labels.links}
        choices={choices(labels.symlinks, labels.symlinkHints)}
        value={value.symlinks}
        onChange={set("symlinks")}
      />
    </SpaceBetween>
  );
}

function ComparisonOptions({ value, set, ends, errorFor }: PartProps) {
  const labels = t().options;
  const why = unavailableReason("compare", ends, value);
  const compare = choices(labels.compare, labels.compareHints).map((one) =>
    one.value === "checksum" && why ? { ...one, disabled: true, disabledReason: why } : one,
  );
  return (
    <SpaceBetween size="m">
      <Choice
        label={labels.comparison}
        choices={compare}
        value={value.compare}
        error={errorFor("compare")}
        onChange={set("compare")}
      />
      <Choice
        label={labels.conflict}
        choices={choices(labels.overwrite, labels.overwriteHints)}
        value={value.overwrite}
        onChange={set("overwrite")}
      />
    </SpaceBetween>
  );
}

function RemovalOptions({ value, set, ends, errorFor }: PartProps) {
  const labels = t().options;
  return (
    <SpaceBetween size="m">
      <DangerousOption
        label={labels.deleteExtra}
        hint={labels.deleteExtraHint}
        warning={labels.deleteExtraWarning}
        unavailable={unavailableReason("delete_extra", ends, value)}
        value={value.delete_extra}
        error={errorFor("delete_extra")}
        onChange={set("delete_extra")}
      />
      <DangerousOption
        label={labels.move}
        hint={labels.moveHint}
        warning={labels.moveWarning}
        unavailable={unavailableReason("move", ends, value)}
        value={value.move}
        error={errorFor("move")}
        onChange={set("move")}
      />
    </SpaceBetween>
  );
}

function SafetyOptions({ value, set, ends, errorFor }: PartProps) {
  const labels = t().options;
  const why = unavailableReason("owner", ends, value);
  const owners = choices(labels.owner, labels.ownerHints).map((one) =>
    one.value !== "agent" && why ? { ...one, disabled: true, disabledReason: why } : one,
  );
  return (
    <SpaceBetween size="m">
      <Choice
        label={labels.check}
        choices={choices(labels.verify, labels.verifyHints)}
        value={value.verify}
        onChange={set("verify")}
      />
      <Choice
        label={labels.ownership}
        choices={owners}
        value={value.owner}
        error={errorFor("owner")}
        onChange={set("owner")}
      />
    </SpaceBetween>
  );
}

function SpeedOptions({ value, set, errorFor }: PartProps) {
  const labels = t().options;
  return (
    <SpaceBetween size="m">
      <Amount
        label={labels.streams}
        constraint={labels.streamsHint}
        invalidText={labels.streamsError}
        measure={STREAMS}
        value={value.streams}
        error={errorFor("streams")}
        onChange={set("streams")}
      />
      <Amount
        label={labels.limit}
        constraint={labels.limitHint}
        invalidText={labels.limitError}
        measure={SPEED}
        value={value.bandwidth_limit}
        error={errorFor("bandwidth_limit")}
        onChange={set("bandwidth_limit")}
      />
      <BandwidthWindows
        value={value.bandwidth_windows}
        error={errorFor("bandwidth_windows")}
        onChange={set("bandwidth_windows")}
      />
    </SpaceBetween>
  );
}

function CourseOptions({ value, set }: PartProps) {
  const labels = t().options;
  return (
    <SpaceBetween size="m">
      <Choice
        label={labels.offline}
        choices={choices(labels.ifOffline, labels.offlineHints)}
        value={value.if_offline}
        onChange={set("if_offline")}
      />
      <Choice
        label={labels.priority}
        choices={choices(labels.priorities, labels.priorityHints)}
        value={value.priority}
        onChange={set("priority")}
      />
      <Choice
        label={labels.inChain}
        choices={choices(labels.chain, labels.chainHints)}
        value={value.chain}
        onChange={set("chain")}
      />
      <Choice
        label={labels.unreachable}
        choices={choices(labels.relay, labels.relayHints)}
        value={value.relay}
        onChange={set("relay")}
      />
    </SpaceBetween>
  );
}

function ObjectOptions({ value, set, ends, errorFor }: PartProps) {
  const labels = t().options;
  const why = unavailableReason("objects", ends, value);
  const unset = { value: "" as const, label: labels.defaultClass };
  const classes = STORAGE_CLASSES.map((name) => ({
    value: name,
    label: name,
    disabled: why !== "",
    disabledReason: why,
  }));
  return (
    <SpaceBetween size="m">
      <Choice<StorageClass | "">
        label={labels.storageClass}
        constraint={why || labels.storageClassHint}
        choices={[unset, ...classes]}
        value={value.storage_class ?? ""}
        error={errorFor("storage_class")}
        onChange={(next) => set("storage_class")(next || null)}
      />
      <Patterns
        label={labels.objectTags}
        constraint={why || labels.objectTagsHint}
        example="project=film"
        value={tagLines(value.object_tags)}
        error={errorFor("object_tags")}
        onChange={(lines) => set("object_tags")(tagsOf(lines))}
      />
    </SpaceBetween>
  );
}

/** Options by what they are about; the open ones are those that most transfers change. */
const GROUPS: readonly {
  id: keyof Messages["options"]["groups"];
  fields: readonly (keyof Options)[];
  Fields(part: PartProps): ReactNode;
  open: boolean;
}[] = [
  { id: "files", fields: ["include", "exclude", "symlinks"], Fields: FilterOptions, open: true },
  { id: "existing", fields: ["compare", "overwrite"], Fields: ComparisonOptions, open: true },
  { id: "removal", fields: ["delete_extra", "move"], Fields: RemovalOptions, open: true },
  { id: "safety", fields: ["verify", "owner"], Fields: SafetyOptions, open: false },
  {
    id: "speed",
    fields: ["streams", "bandwidth_limit", "bandwidth_windows"],
    Fields: SpeedOptions,
    open: false,
  },
  { id: "objects", fields: ["storage_class", "object_tags"], Fields: ObjectOptions, open: false },
  { id: "course", fields: ["if_offline", "priority", "chain", "relay"], Fields: CourseOptions, open: false },
];

/** Return the defaults with only these options taken over. */
function only(options: Options, fields: readonly (keyof Options)[]): Options {
  return { ...DEFAULT_OPTIONS, ...Object.fromEntries(fields.map((name) => [name, options[name]])) };
}
