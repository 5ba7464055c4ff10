import Button from "@cloudscape-design/components/button";
import { download } from "../../components/download";
import { t } from "../../i18n";
import type { Transfer } from "../../types";

/** What was asked for and what became of it, hop by hop with the timeline: as the API says it. */
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
