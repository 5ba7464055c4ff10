import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { ReactNode } from "react";
import { t } from "../i18n";
import { ProblemAlert } from "./ProblemAlert";

interface Props {
  title: string;
  verb: string;
  back?: string;
  busy: boolean;
  error?: unknown;
  onConfirm(): void;
  onClose(): void;
  children: ReactNode;
}

/** Ask for confirmation before an action that cannot be undone. */
export function ConfirmDialog({
  title,
  verb,
  back = t().common.keep,
  busy,
  error,
  onConfirm,
  onClose,
  children,
}: Props) {
  const footer = (
    <Box float="right">
      <SpaceBetween direction="horizontal" size="xs">
        <Button variant="link" onClick={onClose}>
          {back}
        </Button>
        <Button variant="primary" loading={busy} onClick={onConfirm}>
          {verb}
        </Button>
      </SpaceBetween>
    </Box>
  );
  return (
    <Modal visible onDismiss={onClose} header={title} footer={footer}>
      <SpaceBetween size="m">
        <div>{children}</div>
        {error ? <ProblemAlert error={error} /> : null}
      </SpaceBetween>
    </Modal>
  );
}
