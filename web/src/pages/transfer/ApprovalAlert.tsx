import Alert from "@cloudscape-design/components/alert";
import { useAppContext } from "../../appContext";
import { Name, When } from "../../components/text";
import { actorName, safeText } from "../../format/names";
import { t } from "../../i18n";
import type { Transfer } from "../../types";

/** Show who approved or declined the transfer, or who may approve it. */
export function ApprovalAlert({ transfer }: { transfer: Transfer }) {
  const { claims } = useAppContext();
  const labels = t().approval;
  const { approval, state } = transfer;
  if (!approval) return null;
  const policies = labels.because(approval.policies.map(safeText).join(", "));
  if (approval.by && approval.at) {
    return (
      <Alert type="success" header={<Name>{labels.givenBy(actorName(approval.by))}</Name>}>
        <When at={approval.at} /> · <Name>{policies}</Name>
      </Alert>
    );
  }
  if (approval.declined_by && approval.declined_at) {
    return (
      <Alert type="error" header={<Name>{labels.declinedBy(actorName(approval.declined_by))}</Name>}>
        <div>
          <Name>{approval.why}</Name>
        </div>
        <When at={approval.declined_at} /> · <Name>{policies}</Name>
      </Alert>
    );
  }
  if (state !== "awaiting_approval") return null;
  const mine = approval.asked_for.some((one) => one.id === claims.id);
  return (
    <Alert type="warning" header={labels.waits}>
      <div>
        <Name>
          {mine ? labels.ownRequest : labels.who(approval.asked_for.map(actorName).join(t().common.and))}
        </Name>
      </div>
      <div>
        <Name>{policies}</Name>
      </div>
    </Alert>
  );
}
