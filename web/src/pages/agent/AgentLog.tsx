import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useQuery } from "@tanstack/react-query";
import { newKey } from "../../api/idempotency";
import { useApi } from "../../appContext";
import { download } from "../../components/download";
import { Loading } from "../../components/Loading";
import { ProblemAlert } from "../../components/ProblemAlert";
import { When } from "../../components/text";
import { safeText } from "../../format/names";
import { count } from "../../format/sizes";
import { t } from "../../i18n";
import type { AgentLog as Log } from "../../types";

const MAX_LINES = 500;

interface Props {
  agentId: string;
  onClose(): void;
}

/** Show the latest lines of an agent's log. Each reading is in the audit, so it happens only on request. */
export function AgentLog({ agentId, onClose }: Props) {
  const api = useApi();
  const labels = t().agent;
  const log = useQuery({
    queryKey: ["agentLog", agentId],
    queryFn: () =>
      api.post<Log>(`/agents/${encodeURIComponent(agentId)}/log`, { lines: MAX_LINES }, newKey()),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  const text = log.data?.lines.map(safeText).join("\n") ?? "";
  return (
    <Modal
      visible
      size="max"
      onDismiss={onClose}
      header={labels.logTitle(agentId)}
      footer={
        <SpaceBetween direction="horizontal" size="xs">
          <Button loading={log.isFetching} iconName="refresh" onClick={() => log.refetch()}>
            {labels.logAgain}
          </Button>
          <Button disabled={!text} onClick={() => download(`${agentId}.log`, "text/plain", `${text}\n`)}>
            {labels.logDownload}
          </Button>
        </SpaceBetween>
      }
    >
      {log.isError && <ProblemAlert error={log.error} onRetry={() => log.refetch()} />}
      {log.isPending && <Loading what={labels.log} />}
      {log.data && (
        <SpaceBetween size="s">
          <Box color="text-body-secondary">
            {labels.logHint(count(log.data.lines.length))}{" "}
            {log.data.remembered_since && (
              <>
                {labels.logSince} <When at={log.data.remembered_since} />
              </>
            )}
          </Box>
          <pre className="command">{text || labels.logEmpty}</pre>
        </SpaceBetween>
      )}
    </Modal>
  );
}
