import Box from "@cloudscape-design/components/box";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useState } from "react";
import { t } from "../i18n";
import { authenticatorUri } from "../session/account";

interface Props {
  secret: string;
  user: string;
  stage: string;
}

/** The key for an authenticator app, as a QR code and as text. It is drawn here and sent nowhere. */
export function AuthenticatorKey({ secret, user, stage }: Props) {
  const words = t().account;
  return (
    <SpaceBetween size="s">
      <Box>{words.scan}</Box>
      <QrCode text={authenticatorUri(secret, user, stage)} label={words.qrCode} />
      <div>
        <Box variant="awsui-key-label">{words.key}</Box>
        <code className="command">{secret.match(/.{1,4}/g)?.join(" ")}</code>
      </div>
      <CopyToClipboard
        textToCopy={secret}
        copyButtonText={t().common.copy(words.key)}
        copySuccessText={t().common.copied}
        copyErrorText={t().common.notCopied}
      />
    </SpaceBetween>
  );
}

interface QrCodeProps {
  text: string;
  label: string;
}

function QrCode({ text, label }: QrCodeProps) {
  const [modules, setModules] = useState<boolean[][]>([]);
  useEffect(() => {
    let current = true;
    import("uqr")
      .then(({ encode }) => current && setModules(encode(text, { border: 4, ecc: "M" }).data))
      .catch(() => undefined); // the key below is enough
    return () => {
      current = false;
    };
  }, [text]);
  const path = modules.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")));
  return modules.length === 0 ? null : (
    <svg className="qr" role="img" aria-label={label} viewBox={`0 0 ${modules.length} ${modules.length}`}>
      <path d={path.join("")} />
    </svg>
  );
}
