import Box from "@cloudscape-design/components/box";
import { DecisionBadge } from "../../components/DecisionBadge";
import { count } from "../../format/sizes";
import { t } from "../../i18n";
import type { AuditRecord } from "../../types";

/** A record's decision, and how many equal refusals it stands for. */
export function Decision({ of: { decision, repeats } }: { of: AuditRecord }) {
  return (
    <>
      <DecisionBadge of={decision} />
      {repeats > 0 && (
        <Box color="text-body-secondary" fontSize="body-s">
          {t().audit.repeats(count(repeats))}
        </Box>
      )}
    </>
  );
}
