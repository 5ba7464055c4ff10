import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select, { type SelectProps } from "@cloudscape-design/components/select";
import { type ComponentProps, useEffect, useState } from "react";
import { stateDisplay } from "../format/states";
import { useAgent, useAgentsNamed, useBuckets, useFleet } from "../hooks/queries";
import { t } from "../i18n";
import { type Draft, draftFrom, remoteIn, S3, withTypedPath } from "../model/locations";
import { includesAfter } from "../model/selection";
import type { AgentSummary } from "../types";
import { agentPlace } from "./browsablePlaces";
import { BucketBrowser, DirectoryBrowser } from "./DirectoryBrowser";

interface Props {
  label: string;
  description?: string;
  value: Draft;
  onChange(value: Draft): void;
  error?: string;
  /** A destination may only be a directory or a new name; a source may also be a file. */
  end: "source" | "destination";
  onRemove?: () => void;
  /** The include patterns, where browsing may select several entries. */
  include?: readonly string[];
  onInclude?(include: string[]): void;
}

type BrowserProps = Omit<ComponentProps<typeof DirectoryBrowser>, "place">;

const s3Option = (): SelectProps.Option => ({ value: S3, label: "S3", description: t().location.s3Hint });

/** One end of a transfer: an agent, remote or S3, and a path. */
export function LocationField(props: Props) {
  const { label, description, value, onChange, error, end, onRemove, include, onInclude } = props;
  const [search, setSearch] = useState("");
  const [typed, setTyped] = useState("");
  const agents = useFleet({ search });
  const pasted = draftFrom(typed).place;
  const named = useAgentsNamed([value.place, pasted].filter((place) => place && place !== S3));
  useBuckets(value.place === S3); // prefetch, so that browsing opens at once
  const [browsing, setBrowsing] = useState(false);
  const known = named.data?.agents ?? [];
  const isPasted = known.some(({ agent_id }) => agent_id === pasted) && value.path.trim() === typed;
  // Whether the pasted text begins with the name of an agent is known only when the API has answered.
  useEffect(() => {
    const moved = withTypedPath(value, typed, [pasted]);
    if (isPasted && moved.path !== value.path) onChange(moved);
  }, [isPasted, onChange, pasted, typed, value]);
  const agent = known.find((one) => one.agent_id === value.place);
  const listed = agents.data?.agents ?? [];
  const isListed = listed.some(({ agent_id }) => agent_id === value.place);
  const options = optionsOf(agent && !isListed && !search ? [...listed, agent] : listed, end);
  const at = value.place + (remoteIn(value) && `:${remoteIn(value)}`);
  const selected = options.flatMap(flatten).find((one) => one.value === at);
  const browserProps = {
    start: value.path,
    end,
    include,
    onClose: () => setBrowsing(false),
    onChoose: (path: string, chosen: string[]) => {
      onChange({ ...value, path });
      onInclude?.(includesAfter(include ?? [], chosen));
      setBrowsing(false);
    },
  };
  const unknown = value.place && value.place !== S3 ? { value: at, label: at } : null;
  return (
    <FormField label={label} description={description} errorText={error} stretch>
      <div className="location">
        <Select
          ariaLabel={t().location.agentOrS3(label)}
          placeholder={t().location.placeholder}
          options={options}
          filteringType="manual"
          filteringPlaceholder={t().location.find}
          filteringAriaLabel={t().location.find}
          finishedText={agents.data?.next ? t().location.more : undefined}
          empty={t().agents.noMatch}
          statusType={agents.isPending ? "loading" : agents.isError ? "error" : "finished"}
          loadingText={t().location.loading}
          errorText={t().location.failed}
          recoveryText={t().common.retry}
          onLoadItems={({ detail }) => {
            setSearch(detail.filteringText);
            if (agents.isError) void agents.refetch();
          }}
          selectedOption={selected ?? unknown}
          triggerVariant="label"
          expandToViewport
          onChange={({ detail }) => onChange(withPlace(value, detail.selectedOption.value ?? ""))}
        />
        <Input
          ariaLabel={value.place === S3 ? t().location.bucket(label) : t().location.path(label)}
          value={value.path}
          onChange={({ detail }) => {
            setTyped(detail.value.trim());
            onChange(withTypedPath(value, detail.value));
          }}
          placeholder={value.place === S3 ? "bucket/prefix/" : "/data/videos/raw/"}
          spellcheck={false}
          autoComplete={false}
        />
        <Button
          iconName="folder"
          onClick={() => setBrowsing(true)}
          disabled={!agent && value.place !== S3}
          ariaLabel={t().location.browseFor(label)}
          formAction="none"
        >
          {t().location.browse}
        </Button>
        {onRemove && (
          <Button
            iconName="remove"
            variant="icon"
            ariaLabel={t().newTransfer.removeIt(label)}
            onClick={onRemove}
            formAction="none"
          />
        )}
      </div>
      {browsing && value.place === S3 && <BucketBrowser {...browserProps} />}
      {browsing && agent && <AgentBrowser agentId={agent.agent_id} {...browserProps} />}
    </FormField>
  );
}

/** Browse an agent, whose roots and remotes are read for it. */
function AgentBrowser({ agentId, ...props }: { agentId: string } & BrowserProps) {
  const { data } = useAgent(agentId);
  return data ? <DirectoryBrowser place={agentPlace(data)} {...props} /> : null;
}

/** Change the place. The path is kept only between agents; buckets and remotes have paths of their own. */
function withPlace(value: Draft, chosen: string): Draft {
  const next = draftFrom(chosen);
  if (chosen === S3 || next.place) return next;
  const sameKind = value.place !== S3 && !remoteIn(value);
  return { place: chosen, path: sameKind ? value.path : "" };
}

function optionsOf(
  agents: AgentSummary[],
  end: Props["end"],
): (SelectProps.Option | SelectProps.OptionGroup)[] {
  const named = [...agents].sort((one, other) => one.agent_id.localeCompare(other.agent_id));
  const options = named.map((agent) => ({
    value: agent.agent_id,
    label: agent.agent_id,
    description: agent.hostname,
    labelTag: agent.status === "online" ? undefined : stateDisplay(agent.status).label,
  }));
  const remotes = named.flatMap((agent) => remotesOf(agent, end));
  const onThem = remotes.length ? [{ label: t().location.remotes, options: remotes }] : [];
  return [{ label: t().location.agents, options }, ...onThem, s3Option()];
}

/** Return an agent's rclone remotes as options: `server-b:archive:`. */
function remotesOf({ agent_id, remotes, status }: AgentSummary, end: Props["end"]): SelectProps.Option[] {
  return remotes.map(({ name, access, type }) => ({
    value: `${agent_id}:${name}:`,
    label: `${agent_id}:${name}:`,
    description: [type, access === "rw" ? t().browser.rw : t().browser.ro].filter(Boolean).join(", "),
    disabled: end === "destination" && access === "ro",
    labelTag: status === "online" ? undefined : stateDisplay(status).label,
  }));
}

function flatten(option: SelectProps.Option | SelectProps.OptionGroup): readonly SelectProps.Option[] {
  return "options" in option ? option.options : [option];
}
