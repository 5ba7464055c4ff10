import { useMutation } from "@tanstack/react-query";
import { useAppContext } from "../../appContext";
import { noticeFrom } from "../../format/problems";
import { t } from "../../i18n";
import type { Manifest, Transfer } from "../../types";

/**
 * Download the manifest of each hop. The signed addresses expire in minutes, so they are fetched on click.
 */
export function useManifestDownload(transfer: Transfer) {
  const { api, notify } = useAppContext();
  return useMutation({
    mutationFn: () => api.get<Manifest>(`/transfers/${transfer.transfer_id}/manifest`),
    onSuccess: ({ hops, missing }) => {
      hops.forEach(({ url }, number) => {
        download(url, number);
      });
      if (missing.length > 0) {
        notify({
          type: hops.length ? "success" : "warning",
          header: t().transfer.manifestMissing(transfer.hops.length - missing.length, missing.length),
        });
      }
    },
    onError: (error) => notify(noticeFrom(error)),
  });
}

/** Milliseconds between downloads: of several started at once, browsers keep only the last. */
const DOWNLOAD_INTERVAL_MS = 500;

function download(url: string, number: number) {
  window.setTimeout(() => {
    const link = document.createElement("a");
    link.href = url;
    link.rel = "noreferrer";
    link.click();
  }, number * DOWNLOAD_INTERVAL_MS);
}
