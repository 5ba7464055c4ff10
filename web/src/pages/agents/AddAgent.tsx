import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Modal from "@cloudscape-design/components/modal";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import TagEditor, { type TagEditorProps } from "@cloudscape-design/components/tag-editor";
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { createWish } from "../../api/idempotency";
import { useAgents } from "../../api/queries";
import { useNow } from "../../clock";
import { useApi } from "../../context";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { When } from "../../parts/text";
import type { Enrollment } from "../../types";

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const LIVES = [
  { value: "3600", label: "1 hour" },
  { value: "86400", label: "1 day" },
  { value: "604800", label: "7 days" },
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
  const [tags, setTags] = useState<readonly TagEditorProps.Tag[]>([]);
  const [tagsValid, setTagsValid] = useState(true);
  const [life, setLife] = useState(LIVES[0]);
  const [tried, setTried] = useState(false);
  const wish = useRef(createWish());
  const enrol = useMutation({
    mutationFn: () => {
      const kept = tags.filter((tag) => !tag.markedForRemoval && tag.key);
      const given = Object.fromEntries(kept.map((tag) => [tag.key, tag.value]));
      const body = { agent_id: name.trim(), tags: given, expires_in: Number(life?.value) };
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
      header="Add agent"
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>
              Cancel
            </Button>
            <Button variant="primary" loading={enrol.isPending} onClick={submit}>
              Get the install command
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <FormField
          label="Name"
          constraintText="Small letters, digits and dashes, at most 63. Locations begin with it: server-b:/data."
          errorText={
            tried && !valid ? "Use small letters, digits and dashes; begin and end without a dash." : ""
          }
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
        <FormField label="The command is good for">
          <Select
            options={LIVES}
            selectedOption={life ?? null}
            onChange={({ detail }) => setLife(LIVES.find((one) => one.value === detail.selectedOption.value))}
          />
        </FormField>
        <FormField label="Tags" description="To find the agent by: site, owner, purpose." stretch>
          <TagEditor
            tags={tags}
            tagLimit={20}
            keysRequest={() => Promise.resolve([])}
            valuesRequest={() => Promise.resolve([])}
            onChange={({ detail }) => {
              setTags(detail.tags);
              setTagsValid(detail.valid);
            }}
          />
        </FormField>
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
      header={`Install ${enrollment.agent_id}`}
      footer={
        <Box float="right">
          <Button variant="primary" onClick={onClose}>
            Done
          </Button>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box>
          {tokenApart ? "Run this on the server; it asks for the token below." : "Run this on the server."}{" "}
          The server makes its own keys, and they never leave it.
        </Box>
        <Copyable label="Command" text={enrollment.command} />
        {tokenApart && <Copyable label="Token" text={enrollment.token} />}
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
        copyButtonText={`Copy ${label.toLowerCase()}`}
        copySuccessText="Copied"
        copyErrorText="Could not be copied: select the text instead"
      />
    </div>
  );
}

function Expiry({ at }: { at: string }) {
  const gone = Date.parse(at) <= useNow();
  return (
    <Alert type={gone ? "warning" : "info"}>
      {gone ? (
        "The token has expired. Close this and add the agent again."
      ) : (
        <>
          The token is shown this once, works once, and expires <When at={at} relative /> (<When at={at} />
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
    <StatusIndicator type="success">{agentId} has joined</StatusIndicator>
  ) : (
    <StatusIndicator type="pending">Waiting for {agentId} to join</StatusIndicator>
  );
}
