/** How a person wants to see the list of transfers; kept in this browser. */
import type { CollectionPreferencesProps } from "@cloudscape-design/components/collection-preferences";
import { useState } from "react";
import { COLUMNS, type ColumnId } from "../../components/transferColumns";

const KEY = "crosshaul.transfers";
export const PAGE_SIZES = [20, 50, 100, 200] as const;

export interface Preferences {
  pageSize: (typeof PAGE_SIZES)[number];
  columns: ColumnId[];
  density: "comfortable" | "compact";
}

const USUAL: Preferences = {
  pageSize: 20,
  columns: COLUMNS.filter((id) => id !== "id"),
  density: "comfortable",
};

/** Return what is stored; what is missing or invalid is as usual. */
export function readPreferences(text: string | null): Preferences {
  try {
    const stored: unknown = JSON.parse(text ?? "{}");
    return typeof stored === "object" && stored ? checked(stored as Record<string, unknown>) : USUAL;
  } catch {
    return USUAL;
  }
}

function checked({ pageSize, columns, density }: Record<string, unknown>): Preferences {
  const chosen = Array.isArray(columns) ? COLUMNS.filter((id) => columns.includes(id)) : [];
  return {
    pageSize: PAGE_SIZES.find((one) => one === pageSize) ?? USUAL.pageSize,
    columns: chosen.length > 0 ? chosen : USUAL.columns,
    density: density === "compact" ? "compact" : "comfortable",
  };
}

export function usePreferences(): [Preferences, (chosen: CollectionPreferencesProps.Preferences) => void] {
  const [preferences, setPreferences] = useState(() => readPreferences(localStorage.getItem(KEY)));
  return [
    preferences,
    ({ pageSize, contentDisplay, contentDensity }) => {
      const columns = contentDisplay?.filter((one) => one.visible).map((one) => one.id);
      const chosen = checked({ pageSize, columns, density: contentDensity });
      localStorage.setItem(KEY, JSON.stringify(chosen));
      setPreferences(chosen);
    },
  ];
}
