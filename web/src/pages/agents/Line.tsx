import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import { useNow } from "../../clock";
import { When } from "../../parts/text";
import { t } from "../../words";

/** The line to run, or the token that it wants. */
export function Copyable({ label, text }: { label: string; text: string }) {
  return (
    <div>
      <Box variant="awsui-key-label">{label}</Box>
      <Box padding="s" variant="div">
        <code className="command">{text}</code>
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

export function Expiry({ at, until, gone: told }: { at: string; until: string; gone: string }) {
  const gone = Date.parse(at) <= useNow();
  return (
    <Alert type={gone ? "warning" : "info"}>
      {gone ? (
        told
      ) : (
        <>
          {until} <When at={at} relative /> (<When at={at} />
          ).
        </>
      )}
    </Alert>
  );
}
