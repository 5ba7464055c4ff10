import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Table from "@cloudscape-design/components/table";
import { transferColumns } from "../../components/transferColumns";
import { useTransfers } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { hrefWith } from "../../router";

const AWAITING = { status: "awaiting_approval" as const };

/** Table of transfers that wait for approval by a second person. */
export function Approvals() {
  const query = useTransfers(AWAITING, null);
  const labels = t().approval;
  const narrow = useNarrow();
  return (
    <Table
      header={
        <Header
          variant="h2"
          description={labels.listHint}
          actions={
            query.data?.next && (
              <Link href={hrefWith("transfers", { status: AWAITING.status })}>{t().overview.all}</Link>
            )
          }
        >
          {labels.list}
        </Header>
      }
      items={query.data?.transfers ?? []}
      trackBy="transfer_id"
      loading={query.isPending}
      loadingText={t().common.loading(t().transfers.thing)}
      empty={query.isError ? t().common.notLoaded : labels.none}
      columnDefinitions={transferColumns(narrow).filter(({ id }) => id !== "progress")}
      wrapLines
      ariaLabels={{ tableLabel: labels.list }}
    />
  );
}
