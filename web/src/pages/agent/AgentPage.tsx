import Alert from "@cloudscape-design/components/alert";
import Badge from "@cloudscape-design/components/badge";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown, { type ButtonDropdownProps } from "@cloudscape-design/components/button-dropdown";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import ProgressBar from "@cloudscape-design/components/progress-bar";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { useAppContext } from "../../appContext";
import { agentPlace } from "../../components/browsablePlaces";
import { DirectoryBrowser } from "../../components/DirectoryBrowser";
import { Loading } from "../../components/Loading";
import { PageError } from "../../components/PageError";
import { HopProblem, ProblemAlert } from "../../components/ProblemAlert";
import { RemoveAgent } from "../../components/RemoveAgent";
import { TagBadges } from "../../components/TagBadges";
import { ClockSkew, Name, State, When } from "../../components/text";
import { transferColumns } from "../../components/transferColumns";
import { UpdateAgents } from "../../components/UpdateAgents";
import { safeText } from "../../format/names";
import { bytes, decimal } from "../../format/sizes";
import { useAgent, useTransfers } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { drainText } from "../../live/stateReason";
import { go, href, hrefWith } from "../../router";
import { mayAct } from "../../session/claims";
import type { Agent } from "../../types";
import { AgentHistory } from "./AgentHistory";
import { AgentLog } from "./AgentLog";
import { DrainAgent, EndDrain } from "./DrainAgent";
import { ReachablePeers } from "./ReachablePeers";
import { RotateAgent } from "./RotateAgent";
import { Settings } from "./Settings";

export default function AgentPage({ agentId }: { agentId: string }) {
  const query = useAgent(agentId);
  const { role } = useAppContext();
  const agent = query.data;
  const again = () => query.refetch();
  if (!agent) {
    return query.isError ? (
      <PageError title={agentId} error={query.error} onRetry={again} />
    ) : (
      <Loading what={t().agent.thing} />
    );
  }
  return (
    <SpaceBetween size="l">
      {query.isError && <ProblemAlert error={query.error} onRetry={again} />}
      <Header variant="h1" description={<State of={agent.status} />} actions={<Actions agent={agent} />}>
        {agent.agent_id}
      </Header>
      {agent.drain && <Alert type="warning">{drainText(agent)}</Alert>}
      {agent.problems.map((problem) => (
        <HopProblem key={problem.message} problem={problem} type="warning" />
      ))}
      <Container header={<Header>{t().agent.facts}</Header>}>
        <KeyValuePairs columns={4} items={facts(agent)} />
      </Container>
      <Roots agent={agent} />
      <ReachablePeers agent={agent} />
      <Transfers agentId={agentId} />
      {mayAct(role, "admin") && <AgentHistory agentId={agentId} />}
      {mayAct(role, "admin") && <Settings key={settingsKey(agent)} agent={agent} />}
    </SpaceBetween>
  );
}

/** Key of the settings form: it is reset when another person changed the agent. */
function settingsKey({ tags, endpoints }: Agent): string {
  return JSON.stringify([tags, endpoints]);
}

function Actions({ agent }: { agent: Agent }) {
  const { role } = useAppContext();
  const [browsing, setBrowsing] = useState(false);
  const [removing, setRemoving] = useState(false);
  const [rotating, setRotating] = useState(false);
  const [updating, setUpdating] = useState(false);
  const [draining, setDraining] = useState(false);
  const [readingLog, setReadingLog] = useState(false);
  if (!mayAct(role, "operator")) return null;
  const from = hrefWith("transfers/new", { from: agent.agent_id });
  const rare: Record<string, () => void> = {
    update: () => setUpdating(true),
    rotate: () => setRotating(true),
    remove: () => setRemoving(true),
  };
  return (
    <SpaceBetween direction="horizontal" size="xs">
      {mayAct(role, "admin") && (
        <ButtonDropdown items={rareActions()} onItemClick={({ detail }) => rare[detail.id]?.()}>
          {t().transfer.moreActions}
        </ButtonDropdown>
      )}
      {mayAct(role, "admin") && !agent.drain && (
        <Button onClick={() => setDraining(true)}>{t().agent.drain}</Button>
      )}
      {mayAct(role, "admin") && agent.drain && <EndDrain agent={agent} />}
      {mayAct(role, "admin") && (
        <Button onClick={() => setReadingLog(true)} disabled={agent.status === "offline"}>
          {t().agent.logButton}
        </Button>
      )}
      <Button iconName="folder" onClick={() => setBrowsing(true)} disabled={agent.status === "offline"}>
        {t().agent.browse}
      </Button>
      <Button variant="primary" href={from}>
        {t().agent.sendFrom}
      </Button>
      {browsing && (
        <DirectoryBrowser
          place={agentPlace(agent)}
          start=""
          end="source"
          include={[]}
          onClose={() => setBrowsing(false)}
          onChoose={(path, include) => go(hrefWith("transfers/new", { from: agent.agent_id, path, include }))}
        />
      )}
      {readingLog && <AgentLog agentId={agent.agent_id} onClose={() => setReadingLog(false)} />}
      {draining && <DrainAgent agent={agent} onClose={() => setDraining(false)} />}
      {updating && <UpdateAgents agentId={agent.agent_id} onClose={() => setUpdating(false)} />}
      {rotating && <RotateAgent agent={agent} onClose={() => setRotating(false)} />}
      {removing && (
        <RemoveAgent agent={agent} onClose={() => setRemoving(false)} onRemoved={() => go(href("agents"))} />
      )}
    </SpaceBetween>
  );
}

/** What is needed less often; what destroys something is last. */
function rareActions(): ButtonDropdownProps.Items {
  return [
    { id: "update", text: t().updates.verb },
    { id: "rotate", text: t().agent.rotate },
    { id: "remove", text: t().common.remove },
  ];
}

function facts(agent: Agent) {
  const labels = t().agent;
  const { hostname, ip_address, last_heartbeat, connected_at, load, skew, tags } = agent;
  const { remotes, congestion_control } = agent.capabilities;
  return [
    { label: labels.server, value: <Name>{[hostname, ip_address].filter(Boolean).join(" · ")}</Name> },
    {
      label: labels.heartbeat,
      value: last_heartbeat ? <When at={last_heartbeat} relative /> : t().agents.never,
    },
    { label: labels.connected, value: connected_at ? <When at={connected_at} relative /> : "–" },
    { label: labels.load, value: load === null ? labels.loadNone : decimal(load) },
    { label: labels.clock, value: <ClockSkew skew={skew} /> },
    {
      label: labels.openTransfers,
      value: <Link href={hrefWith("transfers", { agent: agent.agent_id })}>{agent.open_transfers ?? 0}</Link>,
    },
    { label: labels.version, value: agent.version },
    { label: labels.certificate, value: <Keys agent={agent} /> },
    { label: labels.endpoints, value: agent.endpoints.join(", ") || labels.noEndpoints },
    ...(congestion_control ? [{ label: labels.congestion, value: congestionText(congestion_control) }] : []),
    ...(remotes.length ? [{ label: labels.remotes, value: <Remotes remotes={remotes} /> }] : []),
    ...(Object.keys(tags).length ? [{ label: t().common.tags, value: <TagBadges tags={tags} /> }] : []),
  ];
}

function congestionText(algorithm: string): string {
  const name = safeText(algorithm);
  return name === "bbr" ? name : t().agent.withoutBbr(name);
}

/** rclone remotes of the host: `archive: s3, read only`. */
function Remotes({ remotes }: { remotes: Agent["capabilities"]["remotes"] }) {
  const labels = t().browser;
  return remotes.map(({ name, access, type }) => (
    <div key={name}>
      <Name>{`${name}:`}</Name> {[type, access === "rw" ? labels.rw : labels.ro].filter(Boolean).join(", ")}
    </div>
  ));
}

function Keys({ agent }: { agent: Agent }) {
  return (
    <>
      <When at={agent.certified_at ?? agent.registered_at} relative />
      {agent.rotation_wanted_at && <Box color="text-status-info">{t().agent.rotating}</Box>}
      {agent.command_key_status === "present" && (
        <Box color="text-status-info">{t().agent.commandKeyOutdated}</Box>
      )}
      {agent.command_key_status === "none" && (
        <Box color="text-status-error">{t().agent.commandKeyMissing}</Box>
      )}
    </>
  );
}

function Roots({ agent }: { agent: Agent }) {
  const labels = t().browser;
  return (
    <Table
      header={<Header counter={`(${agent.roots.length})`}>{t().agent.roots}</Header>}
      items={[...agent.roots]}
      trackBy="path"
      wrapLines
      empty={labels.noRoots}
      ariaLabels={{ tableLabel: t().agent.roots }}
      columnDefinitions={[
        {
          id: "path",
          header: labels.root,
          isRowHeader: true,
          cell: ({ path }) => (
            <span className="mono">
              <Name>{path}</Name>
            </span>
          ),
        },
        {
          id: "access",
          header: labels.access,
          cell: ({ access }) => (
            <Badge color={access === "rw" ? "blue" : "grey"}>{access === "rw" ? labels.rw : labels.ro}</Badge>
          ),
        },
        { id: "space", header: t().agent.space, cell: (root) => <Space root={root} /> },
      ]}
    />
  );
}

function Space({ root }: { root: Agent["roots"][number] }) {
  if (root.free === null || root.size === null) {
    return <Box color="text-status-warning">{t().browser.notFound}</Box>;
  }
  const used = root.size ? Math.round((1 - root.free / root.size) * 100) : 0;
  return (
    <ProgressBar
      value={used}
      ariaLabel={t().agent.used(used)}
      description={t().agents.freeOf(bytes(root.free), bytes(root.size))}
    />
  );
}

function Transfers({ agentId }: { agentId: string }) {
  const query = useTransfers({ agent: agentId }, null);
  const narrow = useNarrow();
  return (
    <Table
      header={
        <Header
          actions={<Button href={hrefWith("transfers", { agent: agentId })}>{t().overview.all}</Button>}
        >
          {t().agent.transfers}
        </Header>
      }
      items={query.data?.transfers.slice(0, 8) ?? []}
      trackBy="transfer_id"
      loading={query.isPending}
      loadingText={t().common.loading(t().transfers.thing)}
      empty={query.isError ? t().common.notLoaded : t().agent.noTransfers}
      columnDefinitions={transferColumns(narrow)}
      wrapLines
      ariaLabels={{ tableLabel: t().agent.transfers }}
    />
  );
}
