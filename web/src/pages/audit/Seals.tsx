import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { Name, When } from "../../components/text";
import { count } from "../../format/sizes";
import { useSeals } from "../../hooks/queries";
import { t } from "../../i18n";
import { Verification } from "./Verification";

const VERIFY_COMMAND = "crosshaul audit verify";

/** Sealed days, and verification of the audit here and on the command line. */
export function Seals() {
  const labels = t().audit;
  const query = useSeals();
  const seals = query.data?.seals;
  const last = seals?.[seals.length - 1];
  return (
    <Container header={<Header variant="h2">{labels.integrity}</Header>}>
      <SpaceBetween size="s">
        <div>
          {last ? (
            <>
              <Name>{labels.sealed(count(seals?.length ?? 0), last.day)}</Name> (<When at={last.at} />)
            </>
          ) : (
            seals && labels.unsealed
          )}
          {query.isError && t().common.notLoaded}
        </div>
        <Verification />
        <div>
          <Box color="text-body-secondary">{labels.verify}</Box>
          <code className="command">{VERIFY_COMMAND}</code>
        </div>
      </SpaceBetween>
    </Container>
  );
}
