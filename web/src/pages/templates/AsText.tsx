import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import { safeText } from "../../format/names";
import { t } from "../../i18n";
import type { Template } from "../../types";
import { requestOf } from "./request";
import { toYaml } from "./yaml";

/** A template as read-only YAML for viewers, as `crosshaul templates apply` reads it. */
export default function AsText({ template }: { template: Template }) {
  return (
    <Container header={<Header variant="h1">{t().template.tab(template.template_id)}</Header>}>
      <code className="command">{toYaml(requestOf(template)).split("\n").map(safeText).join("\n")}</code>
    </Container>
  );
}
