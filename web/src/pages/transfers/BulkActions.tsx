import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { newKey } from "../../api/idempotency";
import { useAppContext } from "../../appContext";
import { RED } from "../../components/ConfirmDialog";
import { Name, State } from "../../components/text";
import { routeText } from "../../format/names";
import { noticeFrom } from "../../format/problems";
import { count } from "../../format/sizes";
import { t } from "../../i18n";
import { BULK_VERBS, dividedFor, steerAll } from "../../model/bulkActions";
import { pathOf, type Verb } from "../../model/transferActions";
import type { TransferSummary } from "../../types";

/** Number of transfers of a group that the dialog names; the others are counted. */
const MAX_NAMED = 10;

/** Actions on the selected transfers: each first says what it will do with which of them. */
export function BulkActions({ selected }: { selected: readonly TransferSummary[] }) {
  const { role } = useAppContext();
  const [verb, setVerb] = useState<Verb | null>(null);
  const labels = t().transfers;
  return (
    <>
      <ButtonDropdown
        disabled={selected.length === 0}
        items={BULK_VERBS.map((id) => ({
          id,
          text: t().transfer.verbs[id],
          disabled: dividedFor(id, selected, role).affected.length === 0,
          disabledReason: labels.bulk.noneOfThem,
        }))}
        onItemClick={({ detail }) => setVerb(detail.id as Verb)}
      >
        {labels.bulk.actions}
      </ButtonDropdown>
      {verb && <Dialog verb={verb} selected={selected} onClose={() => setVerb(null)} />}
    </>
  );
}

interface DialogProps {
  verb: Verb;
  selected: readonly TransferSummary[];
  onClose(): void;
}

function Dialog({ verb, selected, onClose }: DialogProps) {
  const { api, role } = useAppContext();
  const queries = useQueryClient();
  // What the dialog has said is what happens, although the list behind it is updated.
  const [{ affected, others }] = useState(() => dividedFor(verb, selected, role));
  const [keys] = useState(() => new Map(affected.map(({ transfer_id }) => [transfer_id, newKey()])));
  const labels = t().transfers.bulk;
  const action = useMutation({
    mutationFn: () =>
      steerAll(affected, ({ transfer_id }) =>
        api.post(`/transfers/${transfer_id}/${pathOf(verb)}`, {}, keys.get(transfer_id) ?? newKey()),
      ),
    onSettled: () => queries.invalidateQueries({ queryKey: ["transfers"] }),
  });
  const outcome = action.data;
  const refused = outcome?.filter(({ error }) => error) ?? [];
  return (
    <Modal
      visible
      onDismiss={onClose}
      header={labels.title[verb](affected.length, count(affected.length))}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>
              {outcome ? t().common.done : verb === "cancel" ? t().common.keep : t().common.cancel}
            </Button>
            {!outcome && (
              <Button
                variant="primary"
                loading={action.isPending}
                onClick={() => action.mutate()}
                {...(verb === "cancel" && { style: RED })}
              >
                {t().transfer.verbs[verb]}
              </Button>
            )}
          </SpaceBetween>
        </Box>
      }
    >
      {outcome ? (
        <SpaceBetween size="s">
          <StatusIndicator type={refused.length ? "warning" : "success"}>
            {labels.done(count(outcome.length - refused.length), count(outcome.length))}
          </StatusIndicator>
          {refused.slice(0, MAX_NAMED).map(({ transfer, error }) => (
            <Refusal key={transfer.transfer_id} transfer={transfer} error={error} />
          ))}
          <Rest of={refused} />
        </SpaceBetween>
      ) : (
        <SpaceBetween size="s">
          <Box>{labels.what[verb]}</Box>
          <Named transfers={affected} />
          {others.length > 0 && (
            <>
              <Box color="text-body-secondary">{labels.others(others.length, count(others.length))}</Box>
              <Named transfers={others} />
            </>
          )}
        </SpaceBetween>
      )}
    </Modal>
  );
}

function Named({ transfers }: { transfers: readonly TransferSummary[] }) {
  return (
    <>
      <ul>
        {transfers.slice(0, MAX_NAMED).map((transfer) => (
          <li key={transfer.transfer_id}>
            <State of={transfer.state} /> <Name>{routeText(transfer)}</Name>
          </li>
        ))}
      </ul>
      <Rest of={transfers} />
    </>
  );
}

function Rest({ of }: { of: readonly unknown[] }) {
  return of.length > MAX_NAMED ? <Box>{t().overview.more(of.length - MAX_NAMED)}</Box> : null;
}

function Refusal({ transfer, error }: { transfer: TransferSummary; error: unknown }) {
  const notice = noticeFrom(error);
  return (
    <div>
      <Name>{routeText(transfer)}</Name>
      <Box color="text-status-error">{notice.header}</Box>
      <Box color="text-body-secondary">{notice.content}</Box>
    </div>
  );
}
