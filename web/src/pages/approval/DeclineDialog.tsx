import FormField from "@cloudscape-design/components/form-field";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Textarea from "@cloudscape-design/components/textarea";
import { useState } from "react";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { t } from "../../i18n";
import type { Transfer } from "../../types";
import { useDecision } from "./ApprovalPage";

/** Characters of a reason that the API accepts. */
const MIN_CHARS = 3;
const MAX_CHARS = 500;

/** Ask for the reason, which the person who requested the transfer will read. */
export function DeclineDialog({ transfer, onClose }: { transfer: Transfer; onClose(): void }) {
  const labels = t().approval;
  const [why, setWhy] = useState("");
  const [submitted, setSubmitted] = useState(false);
  const decline = useDecision(transfer, "decline", onClose);
  const text = why.trim();
  const wrong = text.length < MIN_CHARS || text.length > MAX_CHARS;
  return (
    <ConfirmDialog
      title={labels.declineTitle}
      verb={labels.decline}
      back={t().common.back}
      destructive
      busy={decline.isPending}
      error={decline.error}
      onConfirm={() => (wrong ? setSubmitted(true) : decline.mutate({ why: text }))}
      onClose={onClose}
    >
      <SpaceBetween size="m">
        <div>{labels.declineHint}</div>
        <FormField label={labels.why} errorText={submitted && wrong && labels.whyMissing}>
          <Textarea value={why} onChange={({ detail }) => setWhy(detail.value)} rows={3} autoFocus />
        </FormField>
      </SpaceBetween>
    </ConfirmDialog>
  );
}
