import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Link from "@cloudscape-design/components/link";
import Modal from "@cloudscape-design/components/modal";
import RadioGroup from "@cloudscape-design/components/radio-group";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { createIdempotentRequest } from "../../api/idempotency";
import { errorAt } from "../../api/problem";
import { useApi } from "../../appContext";
import { Copyable } from "../../components/Copyable";
import { ProblemAlert } from "../../components/ProblemAlert";
import { tagsForApi as givenTags, type Tag, TagsEditor } from "../../components/TagsEditor";
import { useAgentsNamed } from "../../hooks/queries";
import { t } from "../../i18n";
import { href } from "../../router";
import type { Enrollment, Root, StartedRollout } from "../../types";
import { Expiry, InstallDialog } from "./InstallCommand";
import { RolloutProgress } from "./RolloutProgress";
import { RootsFields } from "./RootsFields";
import { NEW_ROOT, rootError, rootsForApi } from "./roots";

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const PATTERN = /^([a-z0-9][a-z0-9-]{0,29})?\{hostname\}([a-z0-9-]{0,19}[a-z0-9])?$/;
const MAX_SERVERS = 10_000;
const lifetimes = () => [
  { value: "3600", label: t().addAgent.lifetimes.hour },
  { value: "86400", label: t().addAgent.lifetimes.day },
  { value: "604800", label: t().addAgent.lifetimes.week },
];

type Answer = Enrollment | StartedRollout;

/** Dialog that creates an enrollment for one server or several, and shows the install command. */
export function AddAgent({ onClose }: { onClose(): void }) {
  const [answer, setAnswer] = useState<Answer | null>(null);
  if (answer === null) return <AddAgentForm onAnswer={setAnswer} onClose={onClose} />;
  return "rollout_id" in answer ? (
    <RolloutProgress rollout={answer} onClose={onClose} />
  ) : (
    <SingleAgent enrollment={answer} onClose={onClose} />
  );
}

function AddAgentForm({ onAnswer, onClose }: { onAnswer(answer: Answer): void; onClose(): void }) {
  const api = useApi();
  const [many, setMany] = useState(false);
  const [name, setName] = useState("");
  const [count, setCount] = useState("10");
  const [roots, setRoots] = useState<readonly Root[]>([NEW_ROOT]);
  const [tags, setTags] = useState<readonly Tag[]>([]);
  const [tagsValid, setTagsValid] = useState(true);
  const [lifetime, setLifetime] = useState(() => lifetimes()[0]);
  const [submitted, setSubmitted] = useState(false);
  const request = useRef(createIdempotentRequest());
  const enroll = useMutation({
    mutationFn: (): Promise<Answer> => {
      const shared = {
        roots: rootsForApi(roots),
        tags: givenTags(tags),
        expires_in: Number(lifetime?.value),
      };
      const body = many
        ? { ...shared, name: name.trim(), count: Number(count) }
        : { ...shared, agent_id: name.trim() };
      return api.post<Answer>(many ? "/rollouts" : "/agents/enrollments", body, request.current.keyFor(body));
    },
    onSuccess: (answer) => {
      request.current.completed();
      onAnswer(answer);
    },
  });
  const nameValid = (many ? PATTERN : NAME).test(name.trim());
  const countValid =
    !many || (Number.isInteger(Number(count)) && Number(count) >= 1 && Number(count) <= MAX_SERVERS);
  const valid = nameValid && countValid && roots.every((_, number) => !rootError(roots, number));
  function submit(): void {
    setSubmitted(true);
    if (valid && tagsValid && !enroll.isPending) enroll.mutate();
  }
  return (
    <Modal
      visible
      onDismiss={onClose}
      header={t().addAgent.title}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>
              {t().common.cancel}
            </Button>
            <Button variant="primary" loading={enroll.isPending} onClick={submit}>
              {t().addAgent.getCommand}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <FormField label={t().addAgent.howMany}>
          <RadioGroup
            value={many ? "many" : "one"}
            onChange={({ detail }) => {
              setMany(detail.value === "many");
              setSubmitted(false);
            }}
            items={[
              { value: "one", label: t().addAgent.one },
              { value: "many", label: t().addAgent.many },
            ]}
          />
        </FormField>
        <FormField
          label={many ? t().addAgent.pattern : t().common.name}
          constraintText={many ? t().addAgent.patternHint : t().addAgent.nameHint}
          errorText={
            submitted && !nameValid ? (many ? t().addAgent.patternError : t().addAgent.nameError) : ""
          }
        >
          <Input
            value={name}
            onChange={({ detail }) => setName(detail.value)}
            onKeyDown={({ detail }) => detail.key === "Enter" && submit()}
            autoFocus
            spellcheck={false}
            placeholder={many ? "render-{hostname}" : "server-b"}
          />
        </FormField>
        {many && (
          <FormField
            label={t().addAgent.count}
            errorText={submitted && !countValid ? t().addAgent.countError : ""}
          >
            <Input
              type="number"
              inputMode="numeric"
              value={count}
              onChange={({ detail }) => setCount(detail.value)}
            />
          </FormField>
        )}
        <RootsFields
          value={roots}
          onChange={setRoots}
          showErrors={submitted}
          errorFor={(number) => errorAt(enroll.error, `roots.${number}.path`)}
        />
        <FormField label={t().addAgent.lifetime}>
          <Select
            options={lifetimes()}
            selectedOption={lifetime ?? null}
            onChange={({ detail }) =>
              setLifetime(lifetimes().find((one) => one.value === detail.selectedOption.value))
            }
          />
        </FormField>
        <TagsEditor
          value={tags}
          onChange={(next, valid) => {
            setTags(next);
            setTagsValid(valid);
          }}
        />
        {enroll.error && <ProblemAlert error={enroll.error} />}
      </SpaceBetween>
    </Modal>
  );
}

function SingleAgent({ enrollment, onClose }: { enrollment: Enrollment; onClose(): void }) {
  const tokenApart = !enrollment.command.includes(enrollment.token);
  return (
    <InstallDialog
      name={enrollment.agent_id}
      how={tokenApart ? t().addAgent.runToken : t().addAgent.run}
      onClose={onClose}
    >
      <Copyable label={t().addAgent.command} text={enrollment.command} />
      {tokenApart && <Copyable label={t().addAgent.token} text={enrollment.token} />}
      <Expiry at={enrollment.expires_at} until={t().addAgent.once} gone={t().addAgent.expired} />
      <Joined agentId={enrollment.agent_id} />
    </InstallDialog>
  );
}

/** Show whether the server has joined, updated automatically. */
function Joined({ agentId }: { agentId: string }) {
  const [opened] = useState(() => Date.now());
  const { data } = useAgentsNamed([agentId], { often: true });
  const agent = data?.agents.find((one) => one.agent_id === agentId);
  // An agent that rejoins under its old name may have an older connection.
  const joined = agent?.connected_at && Date.parse(agent.connected_at) >= opened - 5_000;
  return joined && agent.status === "online" ? (
    <SpaceBetween direction="horizontal" size="m">
      <StatusIndicator type="success">{t().addAgent.joined(agentId)}</StatusIndicator>
      <Link href={href("agents", agentId)}>{t().addAgent.show(agentId)}</Link>
    </SpaceBetween>
  ) : (
    <StatusIndicator type="pending">{t().addAgent.waiting(agentId)}</StatusIndicator>
  );
}
