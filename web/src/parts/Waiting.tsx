import Box from "@cloudscape-design/components/box";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { t } from "../words";

export function Waiting({ what }: { what: string }) {
  return (
    <Box padding="xxl" textAlign="center">
      <StatusIndicator type="loading">{t().common.loading(what)}</StatusIndicator>
    </Box>
  );
}
