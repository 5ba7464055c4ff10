import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Form from "@cloudscape-design/components/form";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useRef, useState } from "react";
import { createWish } from "../api/idempotency";
import { errorAt } from "../api/problem";
import { useApi } from "../context";
import { draftFault, draftText, EMPTY } from "../locations";
import { DestinationsFields, row, ShapeField } from "../parts/DestinationsFields";
import { LocationField } from "../parts/LocationField";
import { DEFAULT_OPTIONS, OptionsFields } from "../parts/OptionsFields";
import { ProblemAlert } from "../parts/ProblemAlert";
import { go, href } from "../router";
import type { Transfer, TransferRequest } from "../types";
import { t } from "../words";
import { Preview } from "./newTransfer/Preview";

/** `?from=server-b&path=/data/x/` and `?to=server-c` begin it with an agent. */
export default function NewTransferPage({ query }: { query: URLSearchParams }) {
  const api = useApi();
  const queries = useQueryClient();
  const [source, setSource] = useState(() => ({
    ...EMPTY,
    place: query.get("from") ?? "",
    path: query.get("path") ?? "",
  }));
  const [rows, setRows] = useState(() => [row({ ...EMPTY, place: query.get("to") ?? "" })]);
  const [shape, setShape] = useState<TransferRequest["shape"]>("fan_out");
  const [options, setOptions] = useState(DEFAULT_OPTIONS);
  const [tried, setTried] = useState(false);
  const wish = useRef(createWish());
  const ask = useMutation({
    mutationFn: (body: TransferRequest) => api.post<Transfer>("/transfers", body, wish.current.keyFor(body)),
    onSuccess: (transfer) => {
      wish.current.granted();
      queries.invalidateQueries({ queryKey: ["transfers"] });
      go(href("transfers", transfer.transfer_id));
    },
  });
  const faulty = Boolean(draftFault(source)) || rows.some(({ draft }) => draftFault(draft));

  function submit(event: FormEvent): void {
    event.preventDefault();
    setTried(true);
    if (faulty || ask.isPending) return;
    ask.mutate({
      source: draftText(source),
      destinations: rows.map(({ draft }) => draftText(draft)),
      shape: rows.length > 1 ? shape : "fan_out",
      options,
    });
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
            <Button variant="primary" loading={ask.isPending}>
              {t().newTransfer.start}
            </Button>
          </SpaceBetween>
        }
      >
        <SpaceBetween size="l">
          {ask.error && <ProblemAlert error={ask.error} />}
          <Container header={<Header variant="h2">{t().newTransfer.fromTo}</Header>}>
            <SpaceBetween size="l">
              <LocationField
                label={t().newTransfer.source}
                description={t().newTransfer.sourceHint}
                value={source}
                onChange={setSource}
                end="source"
                fault={(tried && draftFault(source)) || errorAt(ask.error, "source")}
              />
              <DestinationsFields
                rows={rows}
                onChange={setRows}
                tried={tried}
                source={source}
                faultAt={(number) => errorAt(ask.error, `destinations.${number}`)}
              />
              {rows.length > 1 && <ShapeField value={shape} onChange={setShape} />}
            </SpaceBetween>
          </Container>
          <ExpandableSection
            variant="container"
            headerText={t().newTransfer.options}
            headerDescription={t().newTransfer.optionsHint}
          >
            <OptionsFields value={options} onChange={setOptions} />
          </ExpandableSection>
          {!faulty && (
            <Preview
              source={source}
              destinations={rows.map(({ draft }) => draft)}
              chain={rows.length > 1 && shape === "chain"}
              options={options}
            />
          )}
        </SpaceBetween>
      </Form>
    </form>
  );
}
