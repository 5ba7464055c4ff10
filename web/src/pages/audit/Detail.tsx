import Box from "@cloudscape-design/components/box";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { Name, ReportedText, When } from "../../components/text";
import { actorName, safeText } from "../../format/names";
import { t } from "../../i18n";
import { href } from "../../router";
import type { AuditRecord } from "../../types";
import { Decision } from "./Decision";

interface Props {
  record: AuditRecord;
  onClose(): void;
}

/** Dialog with one audit record, and the state before and after. */
export function RecordDetail({ record, onClose }: Props) {
  const labels = t().audit;
  return (
    <Modal visible size="large" onDismiss={onClose} header={<Name>{record.action}</Name>}>
      <SpaceBetween size="l">
        <KeyValuePairs columns={3} items={facts(record)} />
        {(record.before || record.after) && (
          <ColumnLayout columns={2}>
            <JsonSide title={labels.before} value={record.before} />
            <JsonSide title={labels.after} value={record.after} />
          </ColumnLayout>
        )}
      </SpaceBetween>
    </Modal>
  );
}

function facts(record: AuditRecord) {
  const labels = t().audit;
  const { transfer_id } = record;
  return [
    { label: t().transfers.when, value: <When at={record.at} /> },
    { label: labels.kinds.person, value: <Who of={record.who} /> },
    { label: labels.address, value: record.address ?? "–" },
    { label: labels.about, value: <ReportedText lang="en">{record.about}</ReportedText> },
    { label: labels.decision, value: <Decision of={record} /> },
    { label: t().policies.title, value: record.policies.map(safeText).join(", ") || "–" },
    { label: t().policy.why, value: <Name>{record.why || "–"}</Name> },
    { label: t().nav.agents, value: record.agents.map(safeText).join(", ") || "–" },
    {
      label: t().transfers.transfer,
      value: transfer_id ? <Link href={href("transfers", transfer_id)}>{transfer_id}</Link> : "–",
    },
    { label: labels.record, value: <span className="mono">{record.record_id}</span> },
  ];
}

/** The person's name at that time, and the permanent ID. */
function Who({ of }: { of: AuditRecord["who"] }) {
  return (
    <>
      <Name>{actorName(of)}</Name>
      {of.id !== of.name && (
        <Box color="text-body-secondary" fontSize="body-s">
          <span className="mono">{safeText(of.id)}</span>
        </Box>
      )}
    </>
  );
}

function JsonSide({ title, value }: { title: string; value: AuditRecord["before"] }) {
  return (
    <div>
      <Box variant="h3">{title}</Box>
      {value ? <pre className="mono name wraps">{shownLines(value)}</pre> : "–"}
    </div>
  );
}

/** Return JSON text with the line breaks of a policy's text. */
function shownLines(value: object): string {
  const text = JSON.stringify(value, null, 2).replaceAll("\\n", "\n");
  return text.split("\n").map(safeText).join("\n");
}
