import Box from "@cloudscape-design/components/box";
import Link from "@cloudscape-design/components/link";
import { href } from "../router";
import { t } from "../words";

/** `guarded`: it is there, but not for whoever is signed in. */
export function NotFoundPage({ guarded = false }: { guarded?: boolean }) {
  return (
    <Box textAlign="center" padding="xxl">
      <Box variant="h1">{guarded ? t().notFound.guarded : t().notFound.title}</Box>
      {guarded && <Box variant="p">{t().notFound.guardedWhy}</Box>}
      <Box variant="p">
        {t().notFound.before} <Link href={href("overview")}>{t().nav.overview}</Link>,{" "}
        <Link href={href("transfers")}>{t().nav.transfers}</Link>,{" "}
        <Link href={href("agents")}>{t().nav.agents}</Link>,{" "}
        <Link href={href("templates")}>{t().nav.templates}</Link>
      </Box>
    </Box>
  );
}
