import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Toggle from "@cloudscape-design/components/toggle";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, Suspense, useRef, useState } from "react";
import { createIdempotentRequest } from "../../api/idempotency";
import { errorAt } from "../../api/problem";
import { useAppContext } from "../../appContext";
import { DestinationsFields, type Row, row, ShapeField } from "../../components/DestinationsFields";
import { ErrorBoundary } from "../../components/ErrorBoundary";
import { Loading } from "../../components/Loading";
import { OptionsFields } from "../../components/OptionsFields";
import { PageError } from "../../components/PageError";
import { ProblemAlert } from "../../components/ProblemAlert";
import { problemText } from "../../format/problems";
import { lazyPage } from "../../hooks/lazyPage";
import { useTemplate, useTransfer } from "../../hooks/queries";
import { useDraftState } from "../../hooks/useDraftState";
import { t } from "../../i18n";
import { draftError, draftFrom, draftOf, draftText, S3 } from "../../model/locations";
import { invalidFields, templateEnds } from "../../model/options";
import { go, href } from "../../router";
import { mayAct } from "../../session/claims";
import type { Template, TemplateRequest } from "../../types";
import { BrowseTrigger } from "./BrowseTrigger";
import { Runs } from "./Runs";
import { EMPTY, MAX_GATHER_SECONDS, requestOf, templateLike } from "./request";
import { TemplateTester } from "./TemplateTester";

const AsText = lazyPage(() => import("./AsText"));
const YamlField = lazyPage(async () => ({ default: (await import("./YamlField")).YamlField }));

interface PageProps {
  templateId?: string;
  /** A transfer whose destinations and options a new template takes over. */
  like?: string | null;
}

export default function TemplateFormPage({ templateId, like = null }: PageProps) {
  const query = useTemplate(templateId);
  const { role } = useAppContext();
  if (like) return <LikeTransfer transferId={like} />;
  if (templateId === undefined) return <TemplateForm start={EMPTY} rows={[row()]} />;
  if (query.data) {
    return (
      <SpaceBetween size="l">
        {mayAct(role, "operator") ? (
          <TemplateForm known={query.data} start={requestOf(query.data)} rows={rowsOf(query.data)} />
        ) : (
          <AsText template={query.data} />
        )}
        <Runs template={query.data} />
      </SpaceBetween>
    );
  }
  return query.isError ? (
    <PageError title={t().template.tab(templateId)} error={query.error} onRetry={() => query.refetch()} />
  ) : (
    <Loading what={t().template.thing} />
  );
}

function LikeTransfer({ transferId }: { transferId: string }) {
  const query = useTransfer(transferId);
  if (!query.data) {
    return query.isError ? (
      <PageError title={t().templates.new} error={query.error} onRetry={() => query.refetch()} />
    ) : (
      <Loading what={t().transfer.thing} />
    );
  }
  return (
    <TemplateForm
      start={templateLike(query.data)}
      rows={query.data.destinations.map((place) => row(draftOf(place)))}
    />
  );
}

function rowsOf(template: Template): Row[] {
  return template.destinations.map((place) => row(draftOf(place)));
}

interface Props {
  /** The template being edited, in the version that this page loaded. */
  known?: Template;
  start: TemplateRequest;
  rows: Row[];
}

function TemplateForm({ known, start, rows: firstRows }: Props) {
  const version = known?.version ?? 0;
  const [draft, setDraft] = useDraftState(`form ${version}`, () => start);
  const [rows, setRows] = useDraftState(`destinations ${version}`, () => firstRows);
  const [submitted, setSubmitted] = useState(false);
  const [asText, setAsText] = useDraftState(`as text ${version}`, () => false);
  /** YAML text; null: not edited, generated from the form. */
  const [source, setSource] = useDraftState<string | null>(`text ${version}`, () => null);
  /** The parsed text; null: the text is invalid. */
  const [text, setText] = useDraftState<TemplateRequest | null>(`read ${version}`, () => null);
  const save = useSave(known);
  const written = { ...draft, destinations: rows.map((one) => draftText(one.draft)) };
  const errors = errorsOf(draft);
  const current = asText ? text : written;
  const errorFor = (field: keyof typeof errors, at: string) =>
    (submitted && errors[field]) || errorAt(save.error, at);
  const setTrigger = (change: Partial<TemplateRequest["trigger"]>) =>
    setDraft({ ...draft, trigger: { ...draft.trigger, ...change } });

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (asText) {
      if (text && !save.isPending) save.mutate(text);
      return;
    }
    setSubmitted(true);
    if (!isComplete(written) || save.isPending) return;
    save.mutate(written);
  }

  /** Switch between form and YAML, and keep the content. */
  function switchView(toText: boolean): void {
    if (toText) {
      setText(written);
      setSource(null);
    } else if (text) {
      setDraft(text);
      setRows(text.destinations.map((one) => row(draftFrom(String(one)))));
    }
    setAsText(toText);
  }

  return (
    <SpaceBetween size="l">
      <form onSubmit={submit}>
        <Form
          header={
            <Header
              variant="h1"
              actions={<FormOrText text={asText} stuck={asText && !text} onTurn={switchView} />}
            >
              {known ? t().template.tab(known.template_id) : t().templates.new}
            </Header>
          }
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button variant="link" href={href("templates")} formAction="none">
                {t().common.cancel}
              </Button>
              <Button variant="primary" loading={save.isPending}>
                {known ? t().common.save : t().template.create}
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="l">
            {save.error && <ProblemAlert error={save.error} />}
            {asText ? (
              <ErrorBoundary place="yaml">
                <Suspense fallback={<Loading what={t().template.yaml} />}>
                  <YamlField
                    source={source}
                    start={written}
                    known={known?.template_id ?? null}
                    onChange={(next, said) => {
                      setSource(next);
                      setText(said);
                    }}
                  />
                </Suspense>
              </ErrorBoundary>
            ) : (
              <SpaceBetween size="l">
                <Container header={<Header variant="h2">{t().common.name}</Header>}>
                  <SpaceBetween size="l">
                    <FormField
                      label={t().common.name}
                      constraintText={t().template.nameHint}
                      errorText={errorFor("name", "name")}
                    >
                      <Input
                        value={draft.name}
                        disabled={known !== undefined}
                        onChange={({ detail }) => setDraft({ ...draft, name: detail.value })}
                        placeholder="new-videos"
                        spellcheck={false}
                      />
                    </FormField>
                    <FormField label={t().common.description} errorText={errorAt(save.error, "description")}>
                      <Input
                        value={draft.description}
                        onChange={({ detail }) => setDraft({ ...draft, description: detail.value })}
                      />
                    </FormField>
                    <Toggle
                      checked={draft.enabled}
                      onChange={({ detail }) => setDraft({ ...draft, enabled: detail.checked })}
                    >
                      {t().templates.enabled}
                    </Toggle>
                  </SpaceBetween>
                </Container>
                <Container
                  header={
                    <Header
                      variant="h2"
                      actions={
                        <BrowseTrigger
                          bucket={draft.trigger.bucket}
                          prefix={draft.trigger.prefix ?? ""}
                          onChoose={setTrigger}
                        />
                      }
                    >
                      {t().template.trigger}
                    </Header>
                  }
                >
                  <SpaceBetween size="l">
                    <FormField label={t().template.bucket} errorText={errorFor("bucket", "trigger.bucket")}>
                      <Input
                        value={draft.trigger.bucket}
                        onChange={({ detail }) => setTrigger({ bucket: detail.value })}
                        placeholder="media-uploads"
                        spellcheck={false}
                      />
                    </FormField>
                    <FormField
                      label={t().template.prefix}
                      description={t().template.prefixHint}
                      errorText={errorAt(save.error, "trigger.prefix")}
                    >
                      <Input
                        value={draft.trigger.prefix}
                        onChange={({ detail }) => setTrigger({ prefix: detail.value })}
                        placeholder="new-videos/"
                        spellcheck={false}
                      />
                    </FormField>
                    <FormField
                      label={t().template.suffix}
                      description={t().template.suffixHint}
                      errorText={errorAt(save.error, "trigger.suffix")}
                    >
                      <Input
                        value={draft.trigger.suffix}
                        onChange={({ detail }) => setTrigger({ suffix: detail.value })}
                        placeholder=".mov"
                        spellcheck={false}
                      />
                    </FormField>
                    <FormField
                      label={t().template.gather}
                      description={t().template.gatherHint}
                      errorText={errors.gather || errorAt(save.error, "trigger.gather_seconds")}
                    >
                      <Input
                        type="number"
                        inputMode="numeric"
                        value={String(draft.trigger.gather_seconds)}
                        onChange={({ detail }) => setTrigger({ gather_seconds: Number(detail.value) })}
                      />
                    </FormField>
                  </SpaceBetween>
                </Container>
                <Container header={<Header variant="h2">{t().templates.destinations}</Header>}>
                  <SpaceBetween size="l">
                    <DestinationsFields
                      rows={rows}
                      onChange={setRows}
                      showErrors={submitted}
                      directories
                      errorFor={(number) => errorAt(save.error, `destinations.${number}`)}
                    />
                    {rows.length > 1 && (
                      <ShapeField value={draft.shape} onChange={(shape) => setDraft({ ...draft, shape })} />
                    )}
                  </SpaceBetween>
                </Container>
                <OptionsFields
                  value={draft.options}
                  onChange={(options) => setDraft({ ...draft, options })}
                  ends={templateEnds(rows.map(({ draft: place }) => place))}
                  errorFor={(option) => errorAt(save.error, `options.${option}`)}
                />
              </SpaceBetween>
            )}
          </SpaceBetween>
        </Form>
      </form>
      {current && isComplete(current) && <TemplateTester template={current} />}
    </SpaceBetween>
  );
}

interface FormOrTextProps {
  text: boolean;
  /** Whether the text is invalid, so that the form cannot show it. */
  stuck: boolean;
  onTurn(toText: boolean): void;
}

function FormOrText({ text, stuck, onTurn }: FormOrTextProps) {
  return (
    <SegmentedControl
      selectedId={text ? "yaml" : "form"}
      label={t().template.writtenAs}
      options={[
        { id: "form", text: t().template.form, disabled: stuck },
        { id: "yaml", text: t().template.yaml },
      ]}
      onChange={({ detail }) => onTurn(detail.selectedId === "yaml")}
    />
  );
}

function useSave(known: Template | undefined) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  const request = useRef(createIdempotentRequest());
  return useMutation({
    mutationFn: (body: TemplateRequest) =>
      known
        ? api.put<Template>(
            `/templates/${encodeURIComponent(known.template_id)}?version=${known.version}`,
            body,
          )
        : api.post<Template>("/templates", body, request.current.keyFor(body)),
    onSuccess: (template) => {
      request.current.completed();
      queries.invalidateQueries({ queryKey: ["templates"] });
      notify({
        type: template.warnings.length ? "warning" : "success",
        header: t().template.saved(template.template_id),
        content: template.warnings.map(problemText).join(" "),
      });
      go(href("templates"));
    },
  });
}

const SLUG = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Return whether the request has no errors that this page can detect. */
function isComplete(request: TemplateRequest): boolean {
  const places = request.destinations.map((place) => draftFrom(String(place)));
  return (
    !Object.values(errorsOf(request)).some(Boolean) &&
    !places.some((place) => draftError(place, true)) &&
    invalidFields({ ...EMPTY.options, ...request.options }, templateEnds(places)).length === 0
  );
}

function gathersAtMost(seconds: number): boolean {
  return Number.isInteger(seconds) && seconds >= 0 && seconds <= MAX_GATHER_SECONDS;
}

function errorsOf(draft: TemplateRequest) {
  return {
    name: SLUG.test(draft.name) ? "" : t().addAgent.nameError,
    bucket: draftError({ place: S3, path: draft.trigger.bucket }) && t().template.bucketError,
    gather: gathersAtMost(draft.trigger.gather_seconds) ? "" : t().template.gatherError,
  };
}
