import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Header from "@cloudscape-design/components/header";
import { Name, When } from "../../components/text";
import { actorName } from "../../format/names";
import { t } from "../../i18n";
import type { Policy } from "../../types";

interface Props {
  versions: readonly Policy[];
  /** Called with the text of a version to restore. */
  onTake(text: string): void;
}

/** Versions of a policy, newest first, with author and reason. */
export function PolicyHistory({ versions, onTake }: Props) {
  const labels = t().policy;
  if (versions.length === 0) return null;
  return (
    <Container header={<Header>{labels.versions}</Header>}>
      {versions.map((one) => (
        <ExpandableSection key={one.version} headerText={labels.version(one.version, one.text === null)}>
          <Box color="text-body-secondary">
            {one.at && <When at={one.at} />} <Name>{actorName(one.by)}</Name>: <Name>{one.why}</Name>
          </Box>
          {one.text !== null && (
            <>
              <pre className="mono name">{one.text}</pre>
              <Button formAction="none" onClick={() => onTake(one.text ?? "")}>
                {labels.restore}
              </Button>
            </>
          )}
        </ExpandableSection>
      ))}
    </Container>
  );
}
