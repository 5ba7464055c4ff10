import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { createIdempotentRequest } from "../../api/idempotency";
import { useAppContext } from "../../appContext";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { LocationName, Name, When } from "../../components/text";
import { actorName, safeText } from "../../format/names";
import { t } from "../../i18n";
import { mayApprove } from "../../model/transferActions";
import type { Transfer } from "../../types";

/** Show who approved the transfer, or who may approve it. */
export function ApprovalAlert({ transfer }: { transfer: Transfer }) {
  const { claims, role } = useAppContext();
  const [confirming, setConfirming] = useState(false);
  const labels = t().approval;
  const { approval, state } = transfer;
  if (!approval) return null;
  const policies = labels.because(approval.policies.map(safeText).join(", "));
  if (approval.by && approval.at) {
    return (
      <Alert type="success" header={<Name>{labels.givenBy(actorName(approval.by))}</Name>}>
        <When at={approval.at} /> · <Name>{policies}</Name>
      </Alert>
    );
  }
  if (state !== "awaiting_approval") return null;
  const mine = approval.asked_for.some((one) => one.id === claims.id);
  return (
    <>
      <Alert
        type="warning"
        header={labels.waits}
        action={
          mayApprove(transfer, claims.id, role) && (
            <Button onClick={() => setConfirming(true)}>{labels.verb}</Button>
          )
        }
      >
        <div>
          <Name>
            {mine ? labels.ownRequest : labels.who(approval.asked_for.map(actorName).join(t().common.and))}
          </Name>
        </div>
        <div>
          <Name>{policies}</Name>
        </div>
      </Alert>
      {confirming && <Approve transfer={transfer} onClose={() => setConfirming(false)} />}
    </>
  );
}

function Approve({ transfer, onClose }: { transfer: Transfer; onClose(): void }) {
  const { api } = useAppContext();
  const queries = useQueryClient();
  const request = useRef(createIdempotentRequest());
  const labels = t().approval;
  const path = `/transfers/${transfer.transfer_id}/approval`;
  const approve = useMutation({
    mutationFn: () => api.post(path, {}, request.current.keyFor(path)),
    onSuccess: onClose,
    onSettled: () => {
      queries.invalidateQueries({ queryKey: ["transfers"] });
      return queries.invalidateQueries({ queryKey: ["transfer", transfer.transfer_id] });
    },
  });
  return (
    <ConfirmDialog
      title={labels.title}
      verb={labels.verb}
      back={t().common.back}
      busy={approve.isPending}
      error={approve.error}
      onConfirm={() => approve.mutate()}
      onClose={onClose}
    >
      <p>
        <Name>{labels.requestedBy(actorName(transfer.created_by))}</Name>
      </p>
      <ul>
        {transfer.hops.map((hop) => (
          <li key={hop.hop_id}>
            <LocationName at={hop.source} /> → <LocationName at={hop.destination} />
          </li>
        ))}
      </ul>
      <p>{labels.begins}</p>
    </ConfirmDialog>
  );
}
