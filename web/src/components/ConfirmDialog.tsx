import Box from "@cloudscape-design/components/box";
import Button, { type ButtonProps } from "@cloudscape-design/components/button";
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
  /** Whether it destroys something: then the button is red. */
  destructive?: boolean;
  onConfirm(): void;
  onClose(): void;
  children: ReactNode;
}

/** Style of a button that destroys something: white on red, in both themes. */
export const RED: ButtonProps.Style = {
  root: {
    background: { default: "#c42525", hover: "#9f1818", active: "#9f1818" },
    borderColor: { default: "#c42525", hover: "#9f1818", active: "#9f1818" },
    color: { default: "#fff", hover: "#fff", active: "#fff" },
  },
};

/** Ask for confirmation before an action that cannot be undone. */
export function ConfirmDialog({
  title,
  verb,
  back = t().common.keep,
  busy,
  error,
  destructive = false,
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
        <Button variant="primary" loading={busy} onClick={onConfirm} {...(destructive && { style: RED })}>
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
