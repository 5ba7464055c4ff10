import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { ReactNode } from "react";
import { When } from "../../components/text";
import { useNow } from "../../hooks/useNow";
import { t } from "../../i18n";

/** Dialog with the install command for one server or several. */
export function InstallDialog(props: { name: string; how: string; onClose(): void; children: ReactNode }) {
  return (
    <Modal
      visible
      size="large"
      onDismiss={props.onClose}
      header={t().addAgent.install(props.name)}
      footer={
        <Box float="right">
          <Button variant="primary" onClick={props.onClose}>
            {t().common.done}
          </Button>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box>
          {props.how} {t().addAgent.keys}
        </Box>
        {props.children}
      </SpaceBetween>
    </Modal>
  );
}

export function Expiry({ at, until, gone: expiredText }: { at: string; until: string; gone: string }) {
  const gone = Date.parse(at) <= useNow();
  return (
    <Alert type={gone ? "warning" : "info"}>
      {gone ? (
        expiredText
      ) : (
        <>
          {until} <When at={at} relative /> (<When at={at} />
          ).
        </>
      )}
    </Alert>
  );
}
