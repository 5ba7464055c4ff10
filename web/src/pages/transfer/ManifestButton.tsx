import Button from "@cloudscape-design/components/button";
import { useMutation } from "@tanstack/react-query";
import { useAppContext } from "../../appContext";
import { noticeFrom } from "../../format/problems";
import { t } from "../../i18n";
import type { Manifest, Transfer } from "../../types";

/** What it did, file by file: one download for each hop. The addresses hold for minutes, so they are asked for
 * when they are wanted. */
export function ManifestButton({ transfer }: { transfer: Transfer }) {
  const { api, notify } = useAppContext();
  const query = useMutation({
    mutationFn: () => api.get<Manifest>(`/transfers/${transfer.transfer_id}/manifest`),
    onSuccess: ({ hops, missing }) => {
      hops.forEach(({ url }, number) => {
        download(url, number);
      });
      if (missing.length > 0) {
        notify({
          type: hops.length ? "success" : "warning",
          header: t().transfer.manifestMissing(hops.length, missing.length),
        });
      }
    },
    onError: (error) => notify(noticeFrom(error)),
  });
  return (
    <Button
      iconName="download"
      loading={query.isPending}
      onClick={() => query.mutate()}
      ariaLabel={t().transfer.manifestHint}
    >
      {t().transfer.manifest}
    </Button>
  );
}

/** The answer says that it is to be kept, so the page stays. Browsers drop all but the last of several asked for
 * in one breath. */
const DOWNLOAD_INTERVAL_MS = 500;

function download(url: string, number: number) {
  window.setTimeout(() => {
    const link = document.createElement("a");
    link.href = url;
    link.rel = "noreferrer";
    link.click();
  }, number * DOWNLOAD_INTERVAL_MS);
}
