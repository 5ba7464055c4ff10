import Box from "@cloudscape-design/components/box";
import Link from "@cloudscape-design/components/link";
import { href } from "../router";
import { t } from "../words";

export function NotFoundPage() {
  return (
    <Box textAlign="center" padding="xxl">
      <Box variant="h1">{t().notFound.title}</Box>
      <Box variant="p">
        {t().notFound.before} <Link href={href("overview")}>{t().nav.overview}</Link>,{" "}
        <Link href={href("transfers")}>{t().nav.transfers}</Link>,{" "}
        <Link href={href("agents")}>{t().nav.agents}</Link>,{" "}
        <Link href={href("templates")}>{t().nav.templates}</Link>
      </Box>
    </Box>
  );
}
