import Button from "@cloudscape-design/components/button";
import { download } from "../../components/download";
import { t } from "../../i18n";
import type { Transfer } from "../../types";

/** Download the transfer as JSON, with all hops and the newest entries of the timeline. */
export function ReportButton({ transfer }: { transfer: Transfer }) {
  const text = `${JSON.stringify(transfer, null, 2)}\n`;
  return (
    <Button
      iconName="download"
      onClick={() => download(`crosshaul-${transfer.transfer_id}.json`, "application/json", text)}
      ariaLabel={t().transfer.reportHint}
    >
      {t().transfer.report}
    </Button>
  );
}
