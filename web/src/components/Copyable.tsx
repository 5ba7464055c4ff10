import Box from "@cloudscape-design/components/box";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import { t } from "../i18n";

/** A command or token with a copy button; its words are English in every language. */
export function Copyable({ label, text }: { label: string; text: string }) {
  return (
    <div>
      <Box variant="awsui-key-label">{label}</Box>
      <Box padding="s" variant="div">
        <code className="command" lang="en">
          {text}
        </code>
      </Box>
      <CopyToClipboard
        textToCopy={text}
        copyButtonText={t().common.copy(label)}
        copySuccessText={t().common.copied}
        copyErrorText={t().common.notCopied}
      />
    </div>
  );
}
