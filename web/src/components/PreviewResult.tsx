import Box from "@cloudscape-design/components/box";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import { bytes, count, files } from "../format/sizes";
import { t } from "../i18n";
import type { DryRunResult } from "../types";
import { SpaceWarning } from "./SpaceWarning";
import { Name } from "./text";

export const KINDS = ["failed", "sent", "replaced", "removed", "kept", "unchanged"] as const;
export type Kind = (typeof KINDS)[number];

const ICONS: Record<Kind, StatusIndicatorProps.Type> = {
  failed: "error",
  sent: "success",
  replaced: "info",
  removed: "warning",
  kept: "stopped",
  unchanged: "stopped",
};

/** Kinds whose paths are shown without a click. */
const EXPANDED: ReadonlySet<Kind> = new Set(["failed", "removed", "replaced"]);

export interface PreviewRow {
  kind: Kind;
  files: number;
  bytes: number;
  examples: string[];
}

/** Return the result of a dry run by kind, without the empty kinds. */
export function previewRows(preview: DryRunResult): PreviewRow[] {
  return KINDS.map((kind) => ({ kind, ...preview[kind], examples: preview.examples[kind] ?? [] })).filter(
    (line) => line.files > 0,
  );
}

/** Result of a dry run: counts, sizes, and the first paths of each kind. */
export function PreviewResult({ preview }: { preview: DryRunResult }) {
  const labels = t().preview;
  const lines = previewRows(preview);
  if (lines.length === 0) return <StatusIndicator type="info">{labels.nothing}</StatusIndicator>;
  return (
    <>
      {preview.space_shortage && <SpaceWarning short={preview.space_shortage} />}
      <PreviewRows lines={lines} />
    </>
  );
}

function PreviewRows({ lines }: { lines: PreviewRow[] }) {
  const labels = t().preview;
  return (
    <ul className="plain" aria-label={labels.result}>
      {lines.map((line) => (
        <li key={line.kind}>
          <StatusIndicator type={ICONS[line.kind]}>
            {labels.kinds[line.kind](files(line.files), bytes(line.bytes))}
          </StatusIndicator>
          {line.examples.length > 0 && <Examples line={line} />}
        </li>
      ))}
    </ul>
  );
}

function Examples({ line: { kind, files: all, examples } }: { line: PreviewRow }) {
  const labels = t().preview;
  return (
    <ExpandableSection
      headerText={labels.which}
      headerAriaLabel={`${labels.which}: ${labels.names[kind]}`}
      defaultExpanded={EXPANDED.has(kind)}
    >
      <ul className="plain paths">
        {examples.map((path) => (
          <li key={path} className="mono">
            <Name>{path}</Name>
          </li>
        ))}
      </ul>
      {all > examples.length && (
        <Box color="text-body-secondary">{t().transfer.more(count(all - examples.length))}</Box>
      )}
    </ExpandableSection>
  );
}
