import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Table from "@cloudscape-design/components/table";
import { transferColumns } from "../../components/transferColumns";
import { useRuns } from "../../hooks/queries";
import { useNarrow } from "../../hooks/useMedia";
import { t } from "../../i18n";
import { hrefWith } from "../../router";
import type { Template } from "../../types";

/** Table of transfers that the template started, newest first. */
export function Runs({ template }: { template: Template }) {
  const query = useRuns(template.template_id);
  const narrow = useNarrow();
  const labels = t().template;
  return (
    <Table
      header={
        <Header
          actions={
            <Link href={hrefWith("transfers", { template: template.template_id })}>{t().overview.all}</Link>
          }
        >
          {labels.runs}
        </Header>
      }
      items={query.data ?? []}
      trackBy="transfer_id"
      loading={query.isPending}
      loadingText={t().common.loading(t().transfers.thing)}
      empty={query.isError ? t().common.notLoaded : labels.noRuns}
      columnDefinitions={transferColumns(narrow)}
      wrapLines
      ariaLabels={{ tableLabel: labels.runs }}
    />
  );
}
