import Box from "@cloudscape-design/components/box";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import Link from "@cloudscape-design/components/link";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { t } from "../i18n";
import { href } from "../router";

interface Props {
  command: string;
  onClose(): void;
}

/** Show a command, ready to copy. */
export function CommandDialog({ command, onClose }: Props) {
  const labels = t().command;
  return (
    <Modal visible onDismiss={onClose} header={labels.title} size="large">
      <SpaceBetween size="m">
        <code className="command">{command}</code>
        <CopyToClipboard
          textToCopy={command}
          copyButtonText={labels.copy}
          copySuccessText={t().common.copied}
          copyErrorText={t().common.notCopied}
        />
        <Box color="text-body-secondary">
          {labels.hint} <Link href={href("command-line")}>{labels.how}</Link>
        </Box>
      </SpaceBetween>
    </Modal>
  );
}
