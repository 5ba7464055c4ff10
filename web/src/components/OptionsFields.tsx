import Alert from "@cloudscape-design/components/alert";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { t } from "../i18n";
import { type Ends, invalidFields, SPEED, STREAMS, unavailableReason } from "../model/options";
import type { Options } from "../types";
import { BandwidthWindows } from "./options/BandwidthWindows";
import { Amount, Choice, choices, DangerousOption, Patterns } from "./options/fields";

interface Props {
  value: Options;
  onChange(value: Options): void;
  ends: Ends;
  /** Return the API's error about one of them. */
  faultAt?(option: keyof Options): string;
}

type Setter = <K extends keyof Options>(name: K) => (next: Options[K]) => void;

interface PartProps {
  value: Options;
  set: Setter;
  ends: Ends;
  fault(option: keyof Options): string;
}

/** Fields for all options of a transfer, with the options that these ends do not support disabled. */
export function OptionsFields({ value, onChange, ends, faultAt }: Props) {
  const set: Setter = (name) => (next) => onChange({ ...value, [name]: next });
  const part: PartProps = { value, set, ends, fault: (option) => faultAt?.(option) ?? "" };
  return (
    <SpaceBetween size="l">
      <ExpandableSection
        variant="container"
        headerText={t().newTransfer.options}
        headerDescription={t().newTransfer.optionsHint}
      >
        <SpaceBetween size="m">
          <FilterOptions {...part} />
          <ComparisonOptions {...part} />
          {!ends.fromTemplate && <RemovalOptions {...part} />}
          <ExpandableSection headerText={t().options.execution} defaultExpanded={false}>
            <ExecutionOptions {...part} />
          </ExpandableSection>
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

function FilterOptions({ value, set, fault }: PartProps) {
  const words = t().options;
  return (
    <SpaceBetween size="m">
      <Patterns
        label={words.include}
        constraint={words.includeHint}
        example="*.mov"
        value={value.include}
        fault={fault("include")}
        onChange={set("include")}
      />
      <Patterns
        label={words.exclude}
        constraint={words.excludeHint}
        example="proxies/"
        value={value.exclude}
        fault={fault("exclude")}
        onChange={set("exclude")}
      />
      <Choice
        label={words.links}
        choices={choices(words.symlinks, words.symlinkHints)}
        value={value.symlinks}
        onChange={set("symlinks")}
      />
    </SpaceBetween>
  );
}

function ComparisonOptions({ value, set, ends, fault }: PartProps) {
  const words = t().options;
  const why = unavailableReason("compare", ends, value);
  const compare = choices(words.compare, words.compareHints).map((one) =>
    one.value === "checksum" && why ? { ...one, disabled: true, disabledReason: why } : one,
  );
  return (
    <SpaceBetween size="m">
      <Choice
        label={words.comparison}
        choices={compare}
        value={value.compare}
        fault={fault("compare")}
        onChange={set("compare")}
      />
      <Choice
        label={words.conflict}
        choices={choices(words.overwrite, words.overwriteHints)}
        value={value.overwrite}
        onChange={set("overwrite")}
      />
    </SpaceBetween>
  );
}

function RemovalOptions({ value, set, ends, fault }: PartProps) {
  const words = t().options;
  return (
    <SpaceBetween size="m">
      <DangerousOption
        label={words.deleteExtra}
        hint={words.deleteExtraHint}
        warning={words.deleteExtraWarning}
        unavailable={unavailableReason("delete_extra", ends, value)}
        value={value.delete_extra}
        fault={fault("delete_extra")}
        onChange={set("delete_extra")}
      />
      <DangerousOption
        label={words.move}
        hint={words.moveHint}
        warning={words.moveWarning}
        unavailable={unavailableReason("move", ends, value)}
        value={value.move}
        fault={fault("move")}
        onChange={set("move")}
      />
    </SpaceBetween>
  );
}

function ExecutionOptions({ value, set, ends, fault }: PartProps) {
  const words = t().options;
  const why = unavailableReason("owner", ends, value);
  const owners = choices(words.owner, words.ownerHints).map((one) =>
    one.value !== "agent" && why ? { ...one, disabled: true, disabledReason: why } : one,
  );
  return (
    <SpaceBetween size="m">
      <Choice
        label={words.check}
        choices={choices(words.verify, words.verifyHints)}
        value={value.verify}
        onChange={set("verify")}
      />
      <Choice
        label={words.ownership}
        choices={owners}
        value={value.owner}
        fault={fault("owner")}
        onChange={set("owner")}
      />
      <Choice
        label={words.unreachable}
        choices={choices(words.relay, words.relayHints)}
        value={value.relay}
        onChange={set("relay")}
      />
      <Choice
        label={words.inChain}
        choices={choices(words.chain, words.chainHints)}
        value={value.chain}
        onChange={set("chain")}
      />
      <Choice
        label={words.offline}
        choices={choices(words.ifOffline, words.offlineHints)}
        value={value.if_offline}
        onChange={set("if_offline")}
      />
      <Choice
        label={words.priority}
        choices={choices(words.priorities, words.priorityHints)}
        value={value.priority}
        onChange={set("priority")}
      />
      <Amount
        label={words.streams}
        constraint={words.streamsHint}
        wrong={words.streamsFault}
        measure={STREAMS}
        value={value.streams}
        fault={fault("streams")}
        onChange={set("streams")}
      />
      <Amount
        label={words.limit}
        constraint={words.limitHint}
        wrong={words.limitFault}
        measure={SPEED}
        value={value.bandwidth_limit}
        fault={fault("bandwidth_limit")}
        onChange={set("bandwidth_limit")}
      />
      <BandwidthWindows
        value={value.bandwidth_windows}
        fault={fault("bandwidth_windows")}
        onChange={set("bandwidth_windows")}
      />
    </SpaceBetween>
  );
}
