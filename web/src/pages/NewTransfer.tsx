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

export default function NewTransferPage() {
  const api = useApi();
  const queries = useQueryClient();
  const [source, setSource] = useState(EMPTY);
  const [rows, setRows] = useState(() => [row()]);
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
        header={<Header variant="h1">New transfer</Header>}
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" href={href("transfers")} formAction="none">
              Cancel
            </Button>
            <Button variant="primary" loading={ask.isPending}>
              Start transfer
            </Button>
          </SpaceBetween>
        }
      >
        <SpaceBetween size="l">
          {ask.error && <ProblemAlert error={ask.error} />}
          <Container header={<Header variant="h2">From and to</Header>}>
            <SpaceBetween size="l">
              <LocationField
                label="Source"
                description="A path that ends in / stands for what is in the directory; without it, for the directory or file itself."
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
            headerText="Options"
            headerDescription="The defaults lose nothing."
          >
            <OptionsFields value={options} onChange={setOptions} />
          </ExpandableSection>
        </SpaceBetween>
      </Form>
    </form>
  );
}
