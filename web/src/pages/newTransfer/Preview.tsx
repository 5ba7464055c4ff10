import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { Name } from "../../components/text";
import { useAgentsNamed } from "../../hooks/queries";
import { t } from "../../i18n";
import { arrivalText, type Draft, draftText, S3 } from "../../model/locations";
import { namesOf } from "../../model/selection";
import type { Options } from "../../types";

interface Props {
  source: Draft;
  destinations: Draft[];
  chain: boolean;
  options: Options;
}

/** The hops that will be created, and the agents that are not online. */
export function Preview({ source, destinations, chain, options }: Props) {
  const labels = t().newTransfer;
  const only = namesOf(options.include);
  const names = new Set([source, ...destinations].map(({ place }) => place).filter((one) => one !== S3));
  const agents = useAgentsNamed([...names]);
  const offline = (agents.data?.agents ?? []).filter(
    (one) => names.has(one.agent_id) && one.status !== "online",
  );
  const hops = destinations.map((to, number) => {
    const before = destinations[number - 1];
    return { from: chain && before ? before : source, to, waits: chain && number > 0 };
  });
  return (
    <Container header={<Header description={labels.previewHint}>{labels.preview}</Header>}>
      <ol className="steps">
        {hops.map(({ from, to, waits }) => (
          <li key={draftText(to)}>
            <Name>{labels.hop(draftText(from), draftText(to))}</Name>
            {waits && ` (${labels.previewAfter})`}
            <Box color="text-body-secondary" fontSize="body-s">
              <Name>{arrivalText(from, to)}</Name>
              {only && !waits && ` (${labels.onlySome(only.length)})`}
            </Box>
          </li>
        ))}
      </ol>
      {offline.map(({ agent_id }) => (
        <div key={agent_id}>
          <StatusIndicator type="warning">
            {options.if_offline === "refuse"
              ? labels.offlineRefuses(agent_id)
              : labels.offlineWaits(agent_id)}
          </StatusIndicator>
        </div>
      ))}
    </Container>
  );
}
