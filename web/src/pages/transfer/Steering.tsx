import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { type Verb, verbsFor } from "../../actions";
import { createWish } from "../../api/idempotency";
import { useSurroundings } from "../../context";
import { noticeOf } from "../../format/problems";
import { Confirm } from "../../parts/Confirm";
import type { Transfer } from "../../types";
import { t } from "../../words";

/** Some files arrived and some did not: another try moves only those. */
function lacksFiles({ hops }: Transfer): boolean {
  return hops.some((hop) => hop.failures_total > 0);
}

/** The buttons that fit the transfer's state and the person's role. */
export function Steering({ transfer }: { transfer: Transfer }) {
  const { api, role, notify } = useSurroundings();
  const queries = useQueryClient();
  const [confirming, setConfirming] = useState(false);
  const wish = useRef(createWish());
  const steer = useMutation({
    mutationFn: (verb: Verb) => {
      const path = `/transfers/${transfer.transfer_id}/${verb}`;
      return api.post(path, {}, wish.current.keyFor(path));
    },
    onSuccess: () => wish.current.granted(),
    onError: (error) => notify(noticeOf(error)),
    onSettled: () => {
      setConfirming(false);
      queries.invalidateQueries({ queryKey: ["transfers"] });
      return queries.invalidateQueries({ queryKey: ["transfer", transfer.transfer_id] });
    },
  });
  return (
    <SpaceBetween direction="horizontal" size="xs">
      {verbsFor(transfer.state, role).map((verb) => (
        <Button
          key={verb}
          loading={steer.isPending && steer.variables === verb}
          disabled={steer.isPending}
          onClick={() => (verb === "cancel" ? setConfirming(true) : steer.mutate(verb))}
        >
          {verb === "retry" && lacksFiles(transfer) ? t().transfer.retryFiles : t().transfer.verbs[verb]}
        </Button>
      ))}
      {confirming && (
        <Confirm
          title={t().transfer.cancelTitle}
          verb={t().transfer.cancelVerb}
          busy={steer.isPending}
          onConfirm={() => steer.mutate("cancel")}
          onClose={() => setConfirming(false)}
        >
          {t().transfer.cancelWhy}
        </Confirm>
      )}
    </SpaceBetween>
  );
}
