import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { newKey } from "../../api/idempotency";
import { asProblem, errorAt } from "../../api/problem";
import { useAppContext } from "../../appContext";
import { Loading } from "../../components/Loading";
import { PageError } from "../../components/PageError";
import { ProblemAlert } from "../../components/ProblemAlert";
import { usePolicy } from "../../hooks/queries";
import { useDraftState } from "../../hooks/useDraftState";
import { t } from "../../i18n";
import { go, href } from "../../router";
import type { DryRun, PolicyDetails } from "../../types";
import { CedarField } from "./CedarField";
import { cedarErrors } from "./cedar";
import { Effect } from "./Effect";
import { PolicyHistory } from "./PolicyHistory";

const INITIAL_TEXT = `permit (
  principal in Group::"studio",
  action == Action::"transfer",
  resource in Tag::"role=archive"
);
`;
const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const MIN_REASON_LENGTH = 3;

export default function PolicyPage({ policyId }: { policyId?: string }) {
  const query = usePolicy(policyId);
  if (policyId === undefined) return <PolicyForm />;
  if (query.data) return <PolicyForm known={query.data} />;
  return query.isError ? (
    <PageError title={t().policy.tab(policyId)} error={query.error} onRetry={() => query.refetch()} />
  ) : (
    <Loading what={t().policy.thing} />
  );
}

function PolicyForm({ known }: { known?: PolicyDetails }) {
  const labels = t().policy;
  const version = known?.version ?? 0;
  const [name, setName] = useDraftState(`name ${version}`, () => known?.policy_id ?? "");
  const [text, setText] = useDraftState(`text ${version}`, () => known?.text ?? (known ? "" : INITIAL_TEXT));
  const [why, setWhy] = useDraftState(`why ${version}`, () => "");
  const [submitted, setSubmitted] = useState<"check" | "save" | null>(null);
  const save = useSave(known);
  const effect = useDryRun();
  const failed = [save, effect].find(({ error, variables }) => error && variables?.text === text);
  const errors = failed ? cedarErrors(asProblem(failed.error).errors) : [];
  const busy = save.isPending || effect.isPending;
  const nameError = NAME.test(name) && name !== "test" ? "" : labels.nameError;
  const whyError = why.trim().length < MIN_REASON_LENGTH ? labels.whyError : "";

  function checkEffect(): void {
    setSubmitted("check");
    save.reset();
    if (!nameError && !busy) effect.mutate({ name, text });
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    setSubmitted("save");
    effect.reset();
    if (!nameError && !whyError && !busy) save.mutate({ name, text, why });
  }

  return (
    <form onSubmit={submit}>
      <Form
        header={<Header variant="h1">{known ? labels.tab(known.policy_id) : t().policies.new}</Header>}
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" href={href("policies")} formAction="none">
              {t().common.cancel}
            </Button>
            <Button formAction="none" loading={effect.isPending} onClick={checkEffect}>
              {labels.check}
            </Button>
            <Button variant="primary" loading={save.isPending}>
              {t().common.save}
            </Button>
          </SpaceBetween>
        }
      >
        <SpaceBetween size="l">
          {failed && errors.length === 0 && <ProblemAlert error={failed.error} />}
          <Container header={<Header description={labels.hint}>{labels.text}</Header>}>
            <SpaceBetween size="m">
              {!known && (
                <FormField label={t().common.name} errorText={(submitted && nameError) || undefined}>
                  <Input
                    value={name}
                    onChange={({ detail }) => setName(detail.value)}
                    placeholder="new-videos"
                    spellcheck={false}
                  />
                </FormField>
              )}
              <CedarField value={text} errors={errors} onChange={setText} />
              {errors.length > 0 && <strong>{asProblem(failed?.error).advice}</strong>}
              <FormField
                label={labels.why}
                constraintText={labels.whyHint}
                errorText={(submitted === "save" && whyError) || errorAt(save.error, "why")}
                stretch
              >
                <Input value={why} onChange={({ detail }) => setWhy(detail.value)} />
              </FormField>
            </SpaceBetween>
          </Container>
          {effect.data && <Effect effect={effect.data} stale={effect.variables?.text !== text} />}
          {known && <PolicyHistory versions={known.past} onTake={setText} />}
        </SpaceBetween>
      </Form>
    </form>
  );
}

interface Written {
  name: string;
  text: string;
}

/** Validate a policy and evaluate past transfers with it. */
function useDryRun() {
  const { api } = useAppContext();
  return useMutation({
    mutationFn: ({ name, text }: Written) =>
      api.post<DryRun>(`/policies/${encodeURIComponent(name)}/dry-run`, { text }, newKey()),
  });
}

function useSave(known: PolicyDetails | undefined) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ name, text, why }: Written & { why: string }) =>
      api.put<PolicyDetails>(`/policies/${encodeURIComponent(name)}?version=${known?.version ?? 0}`, {
        text,
        why,
      }),
    onSuccess: async ({ policy_id }) => {
      await queries.invalidateQueries({ queryKey: ["policies"] });
      notify({ type: "success", header: t().policy.saved(policy_id) });
      go(href("policies"));
    },
  });
}
