import Box from "@cloudscape-design/components/box";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Pagination from "@cloudscape-design/components/pagination";
import Select, { type SelectProps } from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useAppContext } from "../../appContext";
import { download } from "../../components/download";
import { ProblemAlert } from "../../components/ProblemAlert";
import { Name, ProblemText } from "../../components/text";
import { noticeFrom } from "../../format/problems";
import { bytes, count } from "../../format/sizes";
import { t } from "../../i18n";
import {
  type Criteria,
  linesAsCsv,
  MAX_LINES,
  type ManifestLine,
  OUTCOMES,
  type Outcome,
} from "../../model/manifest";
import type { Transfer } from "../../types";
import { useManifestDownload } from "./useManifestDownload";
import { useFoundLines, useManifests } from "./useManifests";

const PAGE_SIZE = 20;
const EVERYTHING: Criteria = { path: "", outcome: null };

/** What became of each file. It is loaded when somebody opens it, since it may be large. */
export function FilesPanel({ transfer }: { transfer: Transfer }) {
  const [open, setOpen] = useState(false);
  return (
    <ExpandableSection
      variant="container"
      headerText={t().files.title}
      headerDescription={t().files.description}
      expanded={open}
      onChange={({ detail }) => setOpen(detail.expanded)}
    >
      {open && <Files transfer={transfer} />}
    </ExpandableSection>
  );
}

function Files({ transfer }: { transfer: Transfer }) {
  const [criteria, setCriteria] = useState(EVERYTHING);
  const [typed, setTyped] = useState("");
  const [page, setPage] = useState(1);
  const manifests = useManifests(transfer);
  const found = useFoundLines(manifests.packed, criteria);
  const labels = t().files;
  const lines = found.data?.lines ?? [];
  const missing = manifests.missing.length;
  const there = transfer.hops.length - missing;
  const failure = manifests.error ?? found.error;

  function search(wanted: Partial<Criteria>): void {
    setCriteria({ ...criteria, ...wanted });
    setPage(1);
  }

  return (
    <SpaceBetween size="s">
      {failure && <ProblemAlert error={failure} onRetry={manifests.reload} />}
      {missing > 0 && (
        <StatusIndicator type="info">{t().transfer.manifestMissing(there, missing)}</StatusIndicator>
      )}
      <Table
        variant="embedded"
        items={lines.slice((page - 1) * PAGE_SIZE, page * PAGE_SIZE)}
        columnDefinitions={columns(transfer.hops.length > 1)}
        loading={!failure && !found.data && (there > 0 || manifests.isPending)}
        loadingText={t().common.loading(labels.title)}
        empty={failure ? t().common.notLoaded : labels.none}
        wrapLines
        enableKeyboardNavigation
        ariaLabels={{ tableLabel: labels.title }}
        filter={
          <SpaceBetween size="s" direction="horizontal">
            <TextFilter
              filteringText={typed}
              filteringPlaceholder={labels.search}
              filteringAriaLabel={labels.search}
              countText={found.data ? labels.matches(found.data.matches, count(found.data.matches)) : ""}
              onChange={({ detail }) => setTyped(detail.filteringText)}
              onDelayedChange={({ detail }) => search({ path: detail.filteringText })}
            />
            <Select
              ariaLabel={labels.outcome}
              options={outcomeChoices(found.data?.outcomes)}
              selectedOption={outcomeChoice(criteria.outcome, found.data?.outcomes)}
              onChange={({ detail }) =>
                search({ outcome: (detail.selectedOption.value || null) as Criteria["outcome"] })
              }
            />
            <Downloads transfer={transfer} packed={manifests.packed} criteria={criteria} />
          </SpaceBetween>
        }
        pagination={
          lines.length > PAGE_SIZE && (
            <Pagination
              currentPageIndex={page}
              pagesCount={Math.ceil(lines.length / PAGE_SIZE)}
              onChange={({ detail }) => setPage(detail.currentPageIndex)}
            />
          )
        }
        footer={
          found.data &&
          found.data.matches > lines.length && (
            <Box color="text-body-secondary">{labels.first(count(MAX_LINES))}</Box>
          )
        }
      />
    </SpaceBetween>
  );
}

interface DownloadsProps {
  transfer: Transfer;
  packed: readonly Blob[] | undefined;
  criteria: Criteria;
}

function Downloads({ transfer, packed, criteria }: DownloadsProps) {
  const { notify } = useAppContext();
  const labels = t().files;
  const jsonLines = useManifestDownload(transfer);
  const csv = useMutation({
    mutationFn: () => linesAsCsv(packed ?? [], criteria),
    onSuccess: (text) => download(`crosshaul-${transfer.transfer_id}.csv`, "text/csv", text),
    onError: (error) => notify(noticeFrom(error)),
  });
  const acts: Record<string, () => void> = { csv: () => csv.mutate(), json: () => jsonLines.mutate() };
  if (!packed?.length) return null;
  return (
    <ButtonDropdown
      items={[
        { id: "csv", text: labels.csv },
        { id: "json", text: labels.jsonLines },
      ]}
      loading={csv.isPending || jsonLines.isPending}
      onItemClick={({ detail }) => acts[detail.id]?.()}
    >
      {labels.download}
    </ButtonDropdown>
  );
}

const STATES: Record<Outcome, StatusIndicatorProps.Type> = {
  failed: "error",
  unfinished: "warning",
  sent: "success",
  unchanged: "success",
  left: "info",
  removed: "info",
};

function columns(ofHops: boolean): TableProps.ColumnDefinition<ManifestLine>[] {
  const labels = t().files;
  return [
    { id: "path", header: labels.path, cell: ({ path }) => <Name>{path || "."}</Name>, isRowHeader: true },
    {
      id: "outcome",
      header: labels.outcome,
      cell: ({ outcome }) => (
        <StatusIndicator type={STATES[outcome]}>{labels.outcomes[outcome]}</StatusIndicator>
      ),
    },
    { id: "size", header: labels.size, cell: ({ kind, size }) => (kind === "d" ? "–" : bytes(size)) },
    ...(ofHops
      ? [{ id: "hop", header: t().transfer.hop, cell: ({ hop_id }: ManifestLine) => hopNumber(hop_id) }]
      : []),
    { id: "reason", header: labels.reason, cell: (line) => <Reason line={line} /> },
  ];
}

function hopNumber(hopId: string): string {
  return count(Number(hopId.slice(hopId.lastIndexOf("-") + 1)) + 1);
}

/** Why it did not arrive, and what of it was not kept. */
function Reason({ line: { problem, lost } }: { line: ManifestLine }) {
  const names: Record<string, string> = t().amounts.lossNames;
  const kept = lost.map((loss) => names[loss] ?? loss).join(", ");
  return (
    <>
      {problem && <ProblemText problem={problem} />}
      {kept && <div>{t().amounts.notKept(kept)}</div>}
    </>
  );
}

type Outcomes = Readonly<Record<Outcome, number>> | undefined;

function outcomeChoices(outcomes: Outcomes): SelectProps.Option[] {
  const there = OUTCOMES.filter((one) => !outcomes || outcomes[one] > 0);
  return [null, "not_arrived" as const, ...there].map((one) => outcomeChoice(one, outcomes));
}

function outcomeChoice(outcome: Criteria["outcome"], outcomes: Outcomes): SelectProps.Option {
  const labels = t().files;
  const all = outcomes ? OUTCOMES.reduce((sum, one) => sum + outcomes[one], 0) : 0;
  if (outcome === null) return { value: "", label: labels.every, labelTag: outcomes && count(all) };
  if (outcome === "not_arrived") {
    const lost = outcomes && count(outcomes.failed + outcomes.unfinished);
    return { value: outcome, label: labels.notArrived, labelTag: lost };
  }
  return { value: outcome, label: labels.outcomes[outcome], labelTag: outcomes && count(outcomes[outcome]) };
}
