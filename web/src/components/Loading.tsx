import Box from "@cloudscape-design/components/box";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { t } from "../i18n";

export function Loading({ what }: { what: string }) {
  return (
    <Box padding="xxl" textAlign="center">
      <StatusIndicator type="loading">{t().common.loading(what)}</StatusIndicator>
    </Box>
  );
}
