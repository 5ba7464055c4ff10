import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useMutation } from "@tanstack/react-query";
import { useApi } from "../../appContext";
import { download } from "../../components/download";
import { ProblemAlert } from "../../components/ProblemAlert";
import { t } from "../../i18n";
import type { Costs } from "../../types";
import { costsCsv, lastTwoMonths } from "./costs";

/** Download what a month's transfers cost, by template, agent or person. */
export function CostsExport() {
  const api = useApi();
  const labels = t().overview.costs;
  const exporting = useMutation({
    mutationFn: async (wanted: string) => {
      const [by = "", month = ""] = wanted.split(" ");
      const costs = await api.get<Costs>("/costs", { month, by });
      download(`costs-${month}-${by}.csv`, "text/csv", costsCsv(costs));
    },
  });
  return (
    <SpaceBetween size="xs">
      <ButtonDropdown
        loading={exporting.isPending}
        items={lastTwoMonths(new Date()).map((month) => ({
          text: month,
          items: [
            { id: `template ${month}`, text: labels.template },
            { id: `agent ${month}`, text: labels.agent },
            { id: `person ${month}`, text: labels.person },
          ],
        }))}
        onItemClick={({ detail }) => exporting.mutate(detail.id)}
      >
        {labels.title}
      </ButtonDropdown>
      {exporting.error && <ProblemAlert error={exporting.error} />}
    </SpaceBetween>
  );
}
