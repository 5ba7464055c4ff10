import Alert from "@cloudscape-design/components/alert";
import { bytes } from "../format/sizes";
import { t } from "../i18n";
import type { SpaceShortage } from "../types";

/** Warn in advance that the destination has probably not enough space. The transfer continues. */
export function SpaceWarning({ short: shortage }: { short: SpaceShortage }) {
  return (
    <Alert type="warning" header={t().transfer.spaceShortage(bytes(shortage.wanted), bytes(shortage.free))}>
      {t().transfer.spaceShortageHint}
    </Alert>
  );
}
