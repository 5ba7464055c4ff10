import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { mayApprove } from "../../actions";
import { createWish } from "../../api/idempotency";
import { useSurroundings } from "../../context";
import { actor, shown } from "../../format/names";
import { Confirm } from "../../parts/Confirm";
import { Name, Place, When } from "../../parts/text";
import type { Transfer } from "../../types";
import { t } from "../../words";

/** Who has agreed to the transfer, or who may: another person than those who asked for it. */
export function ApprovalAlert({ transfer }: { transfer: Transfer }) {
  const { claims, role } = useSurroundings();
  const [confirming, setConfirming] = useState(false);
  const words = t().approval;
  const { approval, state } = transfer;
  if (!approval) return null;
  const policies = words.because(approval.policies.map(shown).join(", "));
  if (approval.by && approval.at) {
    return (
      <Alert type="success" header={<Name>{words.givenBy(actor(approval.by))}</Name>}>
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
        header={words.waits}
        action={
          mayApprove(transfer, claims.id, role) && (
            <Button onClick={() => setConfirming(true)}>{words.verb}</Button>
          )
        }
      >
        <div>
          <Name>{mine ? words.notYou : words.who(approval.asked_for.map(actor).join(t().common.and))}</Name>
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
  const { api } = useSurroundings();
  const queries = useQueryClient();
  const wish = useRef(createWish());
  const words = t().approval;
  const path = `/transfers/${transfer.transfer_id}/approval`;
  const approve = useMutation({
    mutationFn: () => api.post(path, {}, wish.current.keyFor(path)),
    onSuccess: onClose,
    onSettled: () => {
      queries.invalidateQueries({ queryKey: ["transfers"] });
      return queries.invalidateQueries({ queryKey: ["transfer", transfer.transfer_id] });
    },
  });
  return (
    <Confirm
      title={words.title}
      verb={words.verb}
      back={t().common.back}
      busy={approve.isPending}
      error={approve.error}
      onConfirm={() => approve.mutate()}
      onClose={onClose}
    >
      <p>
        <Name>{words.asked(actor(transfer.created_by))}</Name>
      </p>
      <ul>
        {transfer.hops.map((hop) => (
          <li key={hop.hop_id}>
            <Place at={hop.source} /> → <Place at={hop.destination} />
          </li>
        ))}
      </ul>
      <p>{words.begins}</p>
    </Confirm>
  );
}
