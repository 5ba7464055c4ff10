import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import { useState } from "react";
import { ProblemAlert } from "../../components/ProblemAlert";
import { Timeline } from "../../components/Timeline";
import { useEarlierTimeline } from "../../hooks/queries";
import { t } from "../../i18n";
import type { Transfer } from "../../types";

/** The newest entries of a transfer's timeline, and earlier ones on request. */
export function TransferTimeline({ transfer }: { transfer: Transfer }) {
  // The newest page moves on while the transfer does: what comes before it is read from where it began.
  const [opened, setOpened] = useState<Transfer>();
  const earlier = useEarlierTimeline(transfer.transfer_id, opened?.timeline_next ?? null);
  const pages = earlier.data?.pages.map((page) => page.entries).reverse() ?? [];
  const seen = opened?.timeline ?? [];
  const lastSeen = seen.at(-1)?.at ?? "";
  const newer = transfer.timeline.filter(({ at }) => !opened || at > lastSeen);
  const entries = [...pages.flat(), ...seen, ...newer];
  const readOn = () => void (earlier.data ? earlier.fetchNextPage() : earlier.refetch());
  const hasEarlier = opened ? earlier.hasNextPage || earlier.isError : transfer.timeline_next;
  return (
    <Timeline
      entries={entries}
      counter={`(${entries.length}${hasEarlier ? "+" : ""})`}
      footer={
        (hasEarlier || earlier.isFetching) && (
          <Box textAlign="center">
            {earlier.isError && <ProblemAlert error={earlier.error} />}
            <Button loading={earlier.isFetching} onClick={() => (opened ? readOn() : setOpened(transfer))}>
              {t().transfer.earlierEntries}
            </Button>
          </Box>
        )
      }
    />
  );
}
