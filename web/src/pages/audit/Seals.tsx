import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import { useSeals } from "../../api/queries";
import { count } from "../../format/sizes";
import { Name, When } from "../../parts/text";
import { t } from "../../words";

const VERIFY = "crosshaul audit verify";

/** What the API tells of the proof: the days that are sealed. The proof itself is the command line's. */
export function Seals() {
  const words = t().audit;
  const asked = useSeals();
  const seals = asked.data?.seals;
  const last = seals?.[seals.length - 1];
  return (
    <Container header={<Header variant="h2">{words.proof}</Header>}>
      {last ? (
        <>
          <Name>{words.sealed(count(seals?.length ?? 0), last.day)}</Name> (<When at={last.at} />)
        </>
      ) : (
        seals && words.unsealed
      )}
      {asked.isError && t().common.notLoaded}
      <Box color="text-body-secondary">{words.verify}</Box>
      <code className="command">{VERIFY}</code>
    </Container>
  );
}
