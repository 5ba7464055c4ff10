import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Link from "@cloudscape-design/components/link";
import Modal from "@cloudscape-design/components/modal";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { createWish } from "../../api/idempotency";
import { useAgents } from "../../api/queries";
import { useNow } from "../../clock";
import { useApi } from "../../context";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { given, type Tag, Tags } from "../../parts/Tags";
import { When } from "../../parts/text";
import { href } from "../../router";
import type { Enrollment } from "../../types";
import { t } from "../../words";

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const lives = () => [
  { value: "3600", label: t().addAgent.lives.hour },
  { value: "86400", label: t().addAgent.lives.day },
  { value: "604800", label: t().addAgent.lives.week },
];

/** A name and tags in; the one line to run on the server out. */
export function AddAgent({ onClose }: { onClose(): void }) {
  const [enrollment, setEnrollment] = useState<Enrollment | null>(null);
  return enrollment ? (
    <Enrolled enrollment={enrollment} onClose={onClose} />
  ) : (
    <Ask onEnrolled={setEnrollment} onClose={onClose} />
  );
}

function Ask({ onEnrolled, onClose }: { onEnrolled(enrollment: Enrollment): void; onClose(): void }) {
  const api = useApi();
  const [name, setName] = useState("");
  const [tags, setTags] = useState<readonly Tag[]>([]);
  const [tagsValid, setTagsValid] = useState(true);
  const [life, setLife] = useState(() => lives()[0]);
  const [tried, setTried] = useState(false);
  const wish = useRef(createWish());
  const enrol = useMutation({
    mutationFn: () => {
      const body = { agent_id: name.trim(), tags: given(tags), expires_in: Number(life?.value) };
      return api.post<Enrollment>("/agents/enrollments", body, wish.current.keyFor(body));
    },
    onSuccess: (enrollment) => {
      wish.current.granted();
      onEnrolled(enrollment);
    },
  });
  const valid = NAME.test(name.trim());
  function submit(): void {
    setTried(true);
    if (valid && tagsValid && !enrol.isPending) enrol.mutate();
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
            <Button variant="primary" loading={enrol.isPending} onClick={submit}>
              {t().addAgent.get}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <FormField
          label={t().common.name}
          constraintText={t().addAgent.nameHint}
          errorText={tried && !valid ? t().addAgent.nameFault : ""}
        >
          <Input
            value={name}
            onChange={({ detail }) => setName(detail.value)}
            onKeyDown={({ detail }) => detail.key === "Enter" && submit()}
            autoFocus
            spellcheck={false}
            placeholder="server-b"
          />
        </FormField>
        <FormField label={t().addAgent.life}>
          <Select
            options={lives()}
            selectedOption={life ?? null}
            onChange={({ detail }) =>
              setLife(lives().find((one) => one.value === detail.selectedOption.value))
            }
          />
        </FormField>
        <Tags
          value={tags}
          onChange={(next, valid) => {
            setTags(next);
            setTagsValid(valid);
          }}
        />
        {enrol.error && <ProblemAlert error={enrol.error} />}
      </SpaceBetween>
    </Modal>
  );
}

function Enrolled({ enrollment, onClose }: { enrollment: Enrollment; onClose(): void }) {
  const tokenApart = !enrollment.command.includes(enrollment.token);
  return (
    <Modal
      visible
      size="large"
      onDismiss={onClose}
      header={t().addAgent.install(enrollment.agent_id)}
      footer={
        <Box float="right">
          <Button variant="primary" onClick={onClose}>
            {t().common.done}
          </Button>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box>
          {tokenApart ? t().addAgent.runToken : t().addAgent.run} {t().addAgent.keys}
        </Box>
        <Copyable label={t().addAgent.command} text={enrollment.command} />
        {tokenApart && <Copyable label={t().addAgent.token} text={enrollment.token} />}
        <Expiry at={enrollment.expires_at} />
        <Joined agentId={enrollment.agent_id} />
      </SpaceBetween>
    </Modal>
  );
}

function Copyable({ label, text }: { label: string; text: string }) {
  return (
    <div>
      <Box variant="awsui-key-label">{label}</Box>
      <Box padding="s" variant="div">
        <code className="command">{text}</code>
      </Box>
      <CopyToClipboard
        textToCopy={text}
        copyButtonText={t().common.copy(label)}
        copySuccessText={t().common.copied}
        copyErrorText={t().common.notCopied}
      />
    </div>
  );
}

function Expiry({ at }: { at: string }) {
  const gone = Date.parse(at) <= useNow();
  return (
    <Alert type={gone ? "warning" : "info"}>
      {gone ? (
        t().addAgent.expired
      ) : (
        <>
          {t().addAgent.once} <When at={at} relative /> (<When at={at} />
          ).
        </>
      )}
    </Alert>
  );
}

/** Turns green by itself when the server has joined. */
function Joined({ agentId }: { agentId: string }) {
  const [opened] = useState(() => Date.now());
  const { data } = useAgents(true);
  const agent = data?.find((one) => one.agent_id === agentId);
  // An agent that rejoins under its old name was connected before this window was opened.
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
