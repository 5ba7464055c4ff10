import ButtonDropdown, { type ButtonDropdownProps } from "@cloudscape-design/components/button-dropdown";
import { useState } from "react";
import { useAppContext } from "../../appContext";
import { CommandDialog } from "../../components/CommandDialog";
import { download } from "../../components/download";
import { t } from "../../i18n";
import { copyCommand } from "../../model/command";
import { requestOf } from "../../model/transferRequest";
import { hrefWith } from "../../router";
import { mayAct } from "../../session/claims";
import type { Transfer } from "../../types";
import { useManifestDownload } from "./useManifestDownload";

interface Props {
  transfer: Transfer;
  /** Asks to confirm the cancellation; undefined if the transfer cannot be cancelled. */
  onCancel: (() => void) | undefined;
}

/** What is needed less often; what destroys something is last. */
export function TransferMenu({ transfer, onCancel }: Props) {
  const { role, notify } = useAppContext();
  const labels = t().transfer;
  const [command, setCommand] = useState(false);
  const manifest = useManifestDownload(transfer);
  const acts: Record<string, () => void> = {
    command: () => setCommand(true),
    link: () => {
      const copied = navigator.clipboard.writeText(window.location.href);
      copied.then(
        () => notify({ type: "success", header: t().common.copied }),
        () => notify({ type: "error", header: t().common.notCopied }),
      );
    },
    manifest: () => manifest.mutate(),
    report: () => {
      const text = `${JSON.stringify(transfer, null, 2)}\n`;
      download(`crosshaul-${transfer.transfer_id}.json`, "application/json", text);
    },
    cancel: () => onCancel?.(),
  };
  return (
    <>
      <ButtonDropdown
        items={menuItems(transfer, mayAct(role, "operator"), onCancel !== undefined)}
        loading={manifest.isPending}
        onItemClick={({ detail }) => acts[detail.id]?.()}
      >
        {labels.moreActions}
      </ButtonDropdown>
      {command && (
        <CommandDialog command={copyCommand(requestOf(transfer))} onClose={() => setCommand(false)} />
      )}
    </>
  );
}

function menuItems(transfer: Transfer, may: boolean, cancels: boolean): ButtonDropdownProps.Items {
  const labels = t().transfer;
  const { transfer_id, dry_run, hops, ended_at, source } = transfer;
  const item = (id: string, text: string, shown: boolean, address?: string) =>
    shown ? [{ id, text, ...(address && { href: address }) }] : [];
  return [
    ...item("again", labels.again, may, hrefWith("transfers/new", { like: transfer_id })),
    ...item(
      "template",
      labels.asTemplate,
      may && source.kind === "s3",
      hrefWith("templates/new", { like: transfer_id }),
    ),
    ...item("command", labels.asCommand, true),
    ...item("link", labels.copyLink, true),
    ...item("manifest", labels.manifestHint, !dry_run && hops.some((hop) => hop.ended_at)),
    ...item("report", labels.reportHint, ended_at !== null),
    ...item("cancel", labels.verbs.cancel, cancels),
  ];
}
