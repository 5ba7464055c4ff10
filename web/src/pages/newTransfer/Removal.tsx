import SpaceBetween from "@cloudscape-design/components/space-between";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { Name } from "../../components/text";
import { t } from "../../i18n";
import type { TransferRequest } from "../../types";

interface Props {
  body: TransferRequest;
  busy: boolean;
  error: unknown;
  onConfirm(): void;
  onClose(): void;
}

/** Confirm a transfer that removes files, and show where. */
export function ConfirmRemoval({ body, busy, error, onConfirm, onClose }: Props) {
  const words = t().newTransfer.removal;
  const mirror = body.options?.delete_extra;
  const places = (mirror ? body.destinations : [body.source]).map(String);
  return (
    <ConfirmDialog
      title={mirror ? words.mirrorTitle : words.moveTitle}
      verb={mirror ? words.mirrorVerb : words.moveVerb}
      back={t().common.back}
      busy={busy}
      error={error}
      onConfirm={onConfirm}
      onClose={onClose}
    >
      <SpaceBetween size="s">
        <div>{mirror ? words.mirrorWhy(String(body.source)) : words.moveWhy}</div>
        <ul>
          {places.map((place) => (
            <li key={place} className="mono">
              <Name>{place}</Name>
            </li>
          ))}
        </ul>
        <div>{words.previewFirst}</div>
      </SpaceBetween>
    </ConfirmDialog>
  );
}
