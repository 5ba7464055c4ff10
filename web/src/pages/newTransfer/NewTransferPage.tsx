import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, useState } from "react";
import { errorAt } from "../../api/problem";
import { CommandDialog } from "../../components/CommandDialog";
import { DestinationsFields, row, ShapeField } from "../../components/DestinationsFields";
import { DryRun } from "../../components/DryRun";
import { Loading } from "../../components/Loading";
import { LocationField } from "../../components/LocationField";
import { OptionsFields } from "../../components/OptionsFields";
import { PageError } from "../../components/PageError";
import { ProblemAlert } from "../../components/ProblemAlert";
import { useTransfer } from "../../hooks/queries";
import { useCreateTransfer } from "../../hooks/useCreateTransfer";
import { useDraftState } from "../../hooks/useDraftState";
import { t } from "../../i18n";
import { copyCommand } from "../../model/command";
import { type Draft, draftError, draftOf, draftText, EMPTY } from "../../model/locations";
import { DEFAULT_OPTIONS, endsOf, invalidFields, removesFiles } from "../../model/options";
import { requestOf } from "../../model/transferRequest";
import { go, href } from "../../router";
import type { Options, TransferRequest } from "../../types";
import { Preview } from "./Preview";
import { ConfirmRemoval } from "./Removal";
import { SelectedNames } from "./SelectedNames";

/**
 * The form for a new transfer. `?from=server-b&path=/data/x/` and `?to=server-c` fill in the ends,
 * `&include=/a.mov` the patterns, `?like=ID` everything.
 */
export default function NewTransferPage({ query }: { query: URLSearchParams }) {
  const like = query.get("like");
  return like ? <LikeAnother transferId={like} /> : <TransferForm start={startFrom(query)} />;
}

function LikeAnother({ transferId }: { transferId: string }) {
  const query = useTransfer(transferId);
  if (!query.data) {
    return query.isError ? (
      <PageError title={t().newTransfer.title} error={query.error} onRetry={() => query.refetch()} />
    ) : (
      <Loading what={t().transfer.thing} />
    );
  }
  const { source, destinations, shape } = query.data;
  const options = requestOf(query.data).options ?? DEFAULT_OPTIONS;
  return (
    <TransferForm
      start={{ source: draftOf(source), destinations: destinations.map(draftOf), shape, options }}
    />
  );
}

interface Start {
  source: Draft;
  destinations: Draft[];
  shape: TransferRequest["shape"];
  options: Options;
}

function startFrom(query: URLSearchParams): Start {
  return {
    source: { place: query.get("from") ?? "", path: query.get("path") ?? "" },
    destinations: [{ ...EMPTY, place: query.get("to") ?? "" }],
    shape: "fan_out",
    options: { ...DEFAULT_OPTIONS, include: query.getAll("include") },
  };
}

function TransferForm({ start }: { start: Start }) {
  const [source, setSource] = useDraftState("source", () => start.source);
  const [rows, setRows] = useDraftState("destinations", () => start.destinations.map(row));
  const [shape, setShape] = useDraftState("shape", () => start.shape);
  const [options, setOptions] = useDraftState("options", () => start.options);
  const [command, setCommand] = useState(false);
  const [submitted, setSubmitted] = useState(false);
  const [confirming, setConfirming] = useState(false);
  const create = useCreateTransfer((transfer) => go(href("transfers", transfer.transfer_id)));
  const preview = useCreateTransfer();
  const drafts = rows.map(({ draft }) => draft);
  const ends = endsOf(source, drafts);
  const invalid =
    [source, ...drafts].some((draft) => draftError(draft)) || invalidFields(options, ends).length > 0;
  const body: TransferRequest = {
    source: draftText(source),
    destinations: drafts.map(draftText),
    shape: rows.length > 1 ? shape : "fan_out",
    options,
  };
  const dryRun: TransferRequest = { ...body, options: { ...options, dry_run: true } };

  /** Run `act` only if the form is valid; otherwise show its errors. */
  function ifValid(act: () => void): void {
    setSubmitted(true);
    if (!invalid && !create.isPending && !preview.isPending) act();
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    ifValid(() => (removesFiles(options) ? setConfirming(true) : create.mutate(body)));
  }

  return (
    <form onSubmit={submit}>
      <Form
        header={<Header variant="h1">{t().newTransfer.title}</Header>}
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" href={href("transfers")} formAction="none">
              {t().common.cancel}
            </Button>
            <Button formAction="none" onClick={() => ifValid(() => setCommand(true))}>
              {t().transfer.asCommand}
            </Button>
            <Button
              formAction="none"
              loading={preview.isPending}
              onClick={() => ifValid(() => preview.mutate(dryRun))}
            >
              {t().preview.verb}
            </Button>
            <Button variant="primary" loading={create.isPending}>
              {t().newTransfer.start}
            </Button>
          </SpaceBetween>
        }
      >
        <SpaceBetween size="l">
          {create.error && !confirming && <ProblemAlert error={create.error} />}
          {preview.error && <ProblemAlert error={preview.error} />}
          <Container header={<Header variant="h2">{t().newTransfer.fromTo}</Header>}>
            <SpaceBetween size="l">
              <LocationField
                label={t().newTransfer.source}
                description={t().newTransfer.sourceHint}
                value={source}
                onChange={setSource}
                end="source"
                error={(submitted && draftError(source)) || errorAt(create.error, "source")}
                include={options.include}
                onInclude={(include) => setOptions({ ...options, include })}
              />
              <SelectedNames
                source={source}
                include={options.include}
                onClear={() => setOptions({ ...options, include: [] })}
              />
              <DestinationsFields
                rows={rows}
                onChange={setRows}
                showErrors={submitted}
                source={source}
                errorFor={(number) => errorAt(create.error, `destinations.${number}`)}
              />
              {rows.length > 1 && <ShapeField value={shape} onChange={setShape} />}
            </SpaceBetween>
          </Container>
          <OptionsFields
            value={options}
            onChange={setOptions}
            ends={ends}
            errorFor={(option) => errorAt(create.error ?? preview.error, `options.${option}`)}
          />
          {!invalid && (
            <Preview
              source={source}
              destinations={drafts}
              chain={rows.length > 1 && shape === "chain"}
              options={options}
            />
          )}
          {preview.data && (
            <DryRun
              transferId={preview.data.transfer_id}
              stale={JSON.stringify(preview.variables) !== JSON.stringify(dryRun)}
            />
          )}
        </SpaceBetween>
        {command && <CommandDialog command={copyCommand(body)} onClose={() => setCommand(false)} />}
        {confirming && (
          <ConfirmRemoval
            body={body}
            busy={create.isPending}
            error={create.error}
            onConfirm={() => create.mutate(body)}
            onClose={() => setConfirming(false)}
          />
        )}
      </Form>
    </form>
  );
}
