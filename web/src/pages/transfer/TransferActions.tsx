import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { createIdempotentRequest } from "../../api/idempotency";
import { useAppContext } from "../../appContext";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { noticeFrom } from "../../format/problems";
import { t } from "../../i18n";
import { mayApprove, type Verb, verbsFor } from "../../model/transferActions";
import { href } from "../../router";
import type { Transfer } from "../../types";
import { TransferMenu } from "./TransferMenu";

/** Return whether single files failed: a retry sends only those. */
function hasFailedFiles({ hops }: Transfer): boolean {
  return hops.some((hop) => hop.failures_total > 0);
}

/** Buttons for the actions that the transfer's state and the person's role allow. */
export function TransferActions({ transfer }: { transfer: Transfer }) {
  const { api, claims, role, notify } = useAppContext();
  const queries = useQueryClient();
  const [confirming, setConfirming] = useState(false);
  const request = useRef(createIdempotentRequest());
  const action = useMutation({
    mutationFn: (verb: Verb) => {
      const path = `/transfers/${transfer.transfer_id}/${verb === "acknowledge" ? "acknowledgment" : verb}`;
      return api.post(path, {}, request.current.keyFor(path));
    },
    onSuccess: () => request.current.completed(),
    onError: (error) => notify(noticeFrom(error)),
    onSettled: () => {
      setConfirming(false);
      queries.invalidateQueries({ queryKey: ["transfers"] });
      return queries.invalidateQueries({ queryKey: ["transfer", transfer.transfer_id] });
    },
  });
  const verbs = verbsFor(transfer, role);
  return (
    <SpaceBetween direction="horizontal" size="xs">
      {mayApprove(transfer, claims.id, role) && (
        <Button variant="primary" href={href("transfers", transfer.transfer_id, "approval")}>
          {t().approval.review}
        </Button>
      )}
      {verbs
        .filter((verb) => verb !== "cancel")
        .map((verb) => (
          <Button
            key={verb}
            variant={verb === "resume" || verb === "retry" ? "primary" : "normal"}
            loading={action.isPending && action.variables === verb}
            disabled={action.isPending}
            onClick={() => action.mutate(verb)}
          >
            {verb === "retry" && hasFailedFiles(transfer)
              ? t().transfer.retryFiles
              : t().transfer.verbs[verb]}
          </Button>
        ))}
      <TransferMenu
        transfer={transfer}
        onCancel={verbs.includes("cancel") ? () => setConfirming(true) : undefined}
      />
      {confirming && (
        <ConfirmDialog
          title={t().transfer.cancelTitle}
          verb={t().transfer.cancelVerb}
          destructive
          busy={action.isPending}
          onConfirm={() => action.mutate("cancel")}
          onClose={() => setConfirming(false)}
        >
          {t().transfer.cancelWhy}
        </ConfirmDialog>
      )}
    </SpaceBetween>
  );
}
