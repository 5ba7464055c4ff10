import SpaceBetween from "@cloudscape-design/components/space-between";
import { Confirm } from "../../parts/Confirm";
import { Name } from "../../parts/text";
import type { TransferRequest } from "../../types";
import { t } from "../../words";

interface Props {
  body: TransferRequest;
  busy: boolean;
  error: unknown;
  onConfirm(): void;
  onClose(): void;
}

/** Before a transfer that removes files: says where, and asks once more. */
export function ConfirmRemoval({ body, busy, error, onConfirm, onClose }: Props) {
  const words = t().newTransfer.removal;
  const mirror = body.options?.delete_extra;
  const places = (mirror ? body.destinations : [body.source]).map(String);
  return (
    <Confirm
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
    </Confirm>
  );
}
