import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { createIdempotentRequest } from "../api/idempotency";
import { useAppContext } from "../appContext";
import { count, countUpTo } from "../format/sizes";
import { useFleet } from "../hooks/queries";
import { t } from "../i18n";
import { total } from "../model/agents";
import type { UpdateDetails } from "../types";
import { ProblemAlert } from "./ProblemAlert";
import { type Tag, TagsEditor, tagsForApi } from "./TagsEditor";

interface Props {
  /** The agent to update; null: agents by tags, or all. */
  agentId: string | null;
  onClose(): void;
}

/** Dialog that starts an update: version, canaries, abort threshold and tags. */
export function UpdateAgents({ agentId, onClose }: Props) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  const [version, setVersion] = useState("");
  const [canaries, setCanaries] = useState("1");
  const [abortAbove, setAbortAbove] = useState("20");
  const [tags, setTags] = useState<readonly Tag[]>([]);
  const [tagsValid, setTagsValid] = useState(true);
  const request = useRef(createIdempotentRequest());
  const start = useMutation({
    mutationFn: () => {
      const body = {
        ...targets(agentId, tagsForApi(tags)),
        version: version.trim() || null,
        canaries: Number(canaries),
        abort_above: Number(abortAbove),
      };
      return api.post<UpdateDetails>("/updates", body, request.current.keyFor(body));
    },
    onSuccess: async (update) => {
      request.current.completed();
      notify({ type: "success", header: t().updates.started(update.version, update.members.length) });
      await queries.invalidateQueries({ queryKey: ["updates"] });
      onClose();
    },
  });
  const valid = tagsValid && within(canaries, 1, 100) && within(abortAbove, 0, 99);
  const footer = (
    <Box float="right">
      <SpaceBetween direction="horizontal" size="xs">
        <Button variant="link" onClick={onClose}>
          {t().common.cancel}
        </Button>
        <Button
          variant="primary"
          loading={start.isPending}
          disabled={!valid}
          onClick={() => !start.isPending && start.mutate()}
        >
          {t().updates.verb}
        </Button>
      </SpaceBetween>
    </Box>
  );
  return (
    <Modal visible onDismiss={onClose} header={t().updates.start(agentId)} footer={footer}>
      <SpaceBetween size="m">
        <div>{t().updates.why}</div>
        <FormField label={t().updates.version} constraintText={t().updates.versionHint}>
          <Input
            value={version}
            onChange={({ detail }) => setVersion(detail.value)}
            spellcheck={false}
            placeholder={t().updates.newest}
          />
        </FormField>
        {agentId === null && (
          <>
            <WholeNumberField
              label={t().updates.canaries}
              value={canaries}
              onChange={setCanaries}
              most={100}
              least={1}
            />
            <WholeNumberField
              label={t().updates.abortAbove}
              value={abortAbove}
              onChange={setAbortAbove}
              most={99}
              least={0}
            />
            <Box color="text-body-secondary">{t().updates.tagsHint}</Box>
            <TagsEditor
              value={tags}
              onChange={(next, ok) => {
                setTags(next);
                setTagsValid(ok);
              }}
            />
          </>
        )}
        {agentId === null && tagsValid && <Touched tags={tagsForApi(tags)} canaries={Number(canaries)} />}
        {start.error && <ProblemAlert error={start.error} />}
      </SpaceBetween>
    </Modal>
  );
}

/** Agents that are named before the rest is counted. */
const MAX_NAMED = 8;

/** Say which agents the update would touch, and how many of them first. */
function Touched({ tags, canaries }: { tags: Record<string, string>; canaries: number }) {
  const wanted = Object.entries(tags);
  const [first] = wanted;
  const { data } = useFleet({ tag: first ? first.join("=") : null });
  if (!data) return null;
  const names = data.agents
    .filter((agent) => wanted.every(([key, value]) => agent.tags[key] === value))
    .map(({ agent_id }) => agent_id);
  const all = total(data.counts);
  const some = first ? names.length : all;
  const isMore = Boolean(first && data.next);
  const more = some - MAX_NAMED;
  return (
    <div aria-live="polite">
      <StatusIndicator type={some || isMore ? "info" : "warning"}>
        {t().updates.touches(
          countUpTo(some, isMore ? 0 : Number.POSITIVE_INFINITY),
          count(all),
          isMore ? canaries : Math.min(canaries, some),
        )}
      </StatusIndicator>
      <Box color="text-body-secondary">
        {names.slice(0, MAX_NAMED).join(", ")}
        {more > 0 && ` ${t().transfer.more(count(more))}`}
      </Box>
    </div>
  );
}

interface WholeNumberFieldProps {
  label: string;
  value: string;
  onChange(value: string): void;
  least: number;
  most: number;
}

function WholeNumberField({ label, value, onChange, least, most }: WholeNumberFieldProps) {
  const error = within(value, least, most) ? "" : t().updates.range(least, most);
  return (
    <FormField label={label} errorText={error}>
      <Input
        type="number"
        inputMode="numeric"
        value={value}
        onChange={({ detail }) => onChange(detail.value)}
      />
    </FormField>
  );
}

function targets(agentId: string | null, tags: Record<string, string>) {
  if (agentId !== null) return { agents: [agentId] };
  return Object.keys(tags).length ? { tags } : { everyone: true };
}

function within(text: string, least: number, most: number): boolean {
  const number = Number(text);
  return text.trim() !== "" && Number.isInteger(number) && number >= least && number <= most;
}
