import Alert from "@cloudscape-design/components/alert";
import { bytes } from "../format/sizes";
import { t } from "../i18n";
import type { SpaceShortage } from "../types";

/** More is to be written than there is room for, as far as one can see: told early, and no reason to stop. */
export function SpaceWarning({ short: shortage }: { short: SpaceShortage }) {
  return (
    <Alert type="warning" header={t().transfer.spaceShortage(bytes(shortage.wanted), bytes(shortage.free))}>
      {t().transfer.spaceShortageHint}
    </Alert>
  );
}
