import Box from "@cloudscape-design/components/box";
import Link from "@cloudscape-design/components/link";
import { t } from "../i18n";
import { href } from "../router";
import type { Role } from "../session/claims";

/** Page not found, or not permitted: `needed` is the required role if it is not viewer. */
export function NotFoundPage({ needed }: { needed: Role }) {
  const labels = t().notFound;
  return (
    <Box textAlign="center" padding="xxl">
      <Box variant="h1">{needed === "viewer" ? labels.title : labels.roleRequired[needed]}</Box>
      {needed !== "viewer" && <Box variant="p">{labels.roleRequiredHint}</Box>}
      <Box variant="p">
        {labels.goTo} <Link href={href("overview")}>{t().nav.overview}</Link>,{" "}
        <Link href={href("transfers")}>{t().nav.transfers}</Link>,{" "}
        <Link href={href("agents")}>{t().nav.agents}</Link>,{" "}
        <Link href={href("templates")}>{t().nav.templates}</Link>
      </Box>
    </Box>
  );
}
