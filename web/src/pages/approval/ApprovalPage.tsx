import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { createIdempotentRequest } from "../../api/idempotency";
import { useAppContext } from "../../appContext";
import { DryRun } from "../../components/DryRun";
import { Loading } from "../../components/Loading";
import { PageError } from "../../components/PageError";
import { ProblemAlert } from "../../components/ProblemAlert";
import { LocationLink, Name, StatusBadge, When } from "../../components/text";
import { actorName, safeText } from "../../format/names";
import { describeOptions } from "../../format/options";
import { bytes, count } from "../../format/sizes";
import { useTransfer } from "../../hooks/queries";
import { useCreateTransfer } from "../../hooks/useCreateTransfer";
import { t } from "../../i18n";
import { mayApprove } from "../../model/transferActions";
import { previewOf } from "../../model/transferRequest";
import { href } from "../../router";
import type { Transfer } from "../../types";
import { DeclineDialog } from "./DeclineDialog";

/** What a second person needs to know before a transfer starts, and the decision. */
export default function ApprovalPage({ transferId }: { transferId: string }) {
  const query = useTransfer(transferId);
  if (!query.data) {
    return query.isError ? (
      <PageError title={t().approval.page} error={query.error} onRetry={() => query.refetch()} />
    ) : (
      <Loading what={t().transfer.thing} />
    );
  }
  return <Review transfer={query.data} />;
}

function Review({ transfer }: { transfer: Transfer }) {
  const labels = t().approval;
  const { claims, role } = useAppContext();
  const [declining, setDeclining] = useState(false);
  const approve = useDecision(transfer, "approval");
  const may = mayApprove(transfer, claims.id, role);
  return (
    <SpaceBetween size="l">
      <Header
        variant="h1"
        description={<StatusBadge of={transfer} />}
        actions={
          may && (
            <SpaceBetween direction="horizontal" size="xs">
              <Button disabled={approve.isPending} onClick={() => setDeclining(true)}>
                {labels.decline}
              </Button>
              <Button variant="primary" loading={approve.isPending} onClick={() => approve.mutate({})}>
                {labels.verb}
              </Button>
            </SpaceBetween>
          )
        }
      >
        {labels.page}
      </Header>
      {approve.error && <ProblemAlert error={approve.error} />}
      <Standing transfer={transfer} may={may} />
      <Container header={<Header variant="h2">{labels.what}</Header>}>
        <KeyValuePairs columns={2} items={facts(transfer)} />
      </Container>
      <Preview transfer={transfer} />
      {declining && <DeclineDialog transfer={transfer} onClose={() => setDeclining(false)} />}
    </SpaceBetween>
  );
}

/** Say whether the decision is still open, and who takes it. */
function Standing({ transfer, may }: { transfer: Transfer; may: boolean }) {
  const labels = t().approval;
  const { claims } = useAppContext();
  const { approval, state, transfer_id } = transfer;
  const shown = <Link href={href("transfers", transfer_id)}>{labels.showTransfer}</Link>;
  if (!approval || state !== "awaiting_approval") {
    return (
      <Alert type="info" header={decided(transfer)} action={shown}>
        {approval?.why && <Name>{approval.why}</Name>}
      </Alert>
    );
  }
  const own = approval.asked_for.some((one) => one.id === claims.id);
  const people = approval.asked_for.map(actorName).join(t().common.and);
  return (
    <Alert type="info" header={<Name>{labels.because(approval.policies.map(safeText).join(", "))}</Name>}>
      {may ? labels.begins : <Name>{own ? labels.ownRequest : labels.who(people)}</Name>}
    </Alert>
  );
}

function decided({ approval }: Transfer): string {
  if (approval?.by) return t().approval.givenBy(actorName(approval.by));
  if (approval?.declined_by) return t().approval.declinedBy(actorName(approval.declined_by));
  return t().approval.nothingToDecide;
}

function facts(transfer: Transfer) {
  const labels = t().approval;
  const { destinations, selection_count, size, template_id } = transfer;
  return [
    { label: t().newTransfer.source, value: <LocationLink at={transfer.source} /> },
    {
      label: t().newTransfer.destination,
      value: destinations.map((at, number) => (
        <div key={JSON.stringify(at)}>
          {transfer.shape === "chain" && `${number + 1}. `}
          <LocationLink at={at} />
        </div>
      )),
    },
    { label: labels.files, value: selection_count ? count(selection_count) : labels.everything },
    { label: labels.size, value: size === null ? labels.sizeUnknown : bytes(size) },
    { label: t().transfers.requestedBy, value: <Name>{actorName(transfer.created_by)}</Name> },
    { label: t().transfer.requestedAt, value: <When at={transfer.created_at} /> },
    ...(template_id ? [{ label: t().transfer.template, value: <Name>{template_id}</Name> }] : []),
    { label: t().transfer.options, value: describeOptions(transfer.options).join(", ") },
  ];
}

/** A dry run of the transfer, by the person who decides: what would be sent, replaced and removed. */
function Preview({ transfer }: { transfer: Transfer }) {
  const preview = useCreateTransfer();
  const labels = t().approval;
  if (transfer.state !== "awaiting_approval" || transfer.dry_run) return null;
  if (preview.data) return <DryRun transferId={preview.data.transfer_id} stale={false} approving />;
  const onS3 = [transfer.source, ...transfer.destinations].some((end) => end.kind === "s3");
  return (
    <Container header={<Header variant="h2">{t().preview.title}</Header>}>
      <SpaceBetween size="s">
        {preview.error && <ProblemAlert error={preview.error} />}
        <Box color="text-body-secondary">{onS3 ? labels.noPreview : labels.previewHint}</Box>
        {!onS3 && (
          <Button loading={preview.isPending} onClick={() => preview.mutate(previewOf(transfer))}>
            {t().preview.verb}
          </Button>
        )}
      </SpaceBetween>
    </Container>
  );
}

/** Send the decision about a transfer; a repeated click sends it once. */
export function useDecision(transfer: Transfer, verb: "approval" | "decline", onDone?: () => void) {
  const { api } = useAppContext();
  const queries = useQueryClient();
  const request = useRef(createIdempotentRequest());
  const path = `/transfers/${transfer.transfer_id}/${verb}`;
  return useMutation({
    mutationFn: (body: object) => api.post(path, body, request.current.keyFor({ path, ...body })),
    onSuccess: onDone,
    onSettled: () => {
      queries.invalidateQueries({ queryKey: ["transfers"] });
      return queries.invalidateQueries({ queryKey: ["transfer", transfer.transfer_id] });
    },
  });
}
