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
  const labels = t().newTransfer.removal;
  const mirror = body.options?.delete_extra;
  const places = (mirror ? body.destinations : [body.source]).map(String);
  return (
    <ConfirmDialog
      title={mirror ? labels.mirrorTitle : labels.moveTitle}
      verb={mirror ? labels.mirrorVerb : labels.moveVerb}
      back={t().common.back}
      destructive
      busy={busy}
      error={error}
      onConfirm={onConfirm}
      onClose={onClose}
    >
      <SpaceBetween size="s">
        <div>{mirror ? labels.mirrorWhy(String(body.source)) : labels.moveWhy}</div>
        <ul>
          {places.map((place) => (
            <li key={place} className="mono">
              <Name>{place}</Name>
            </li>
          ))}
        </ul>
        <div>{labels.previewFirst}</div>
      </SpaceBetween>
    </ConfirmDialog>
  );
}
