import Box from "@cloudscape-design/components/box";
import Link from "@cloudscape-design/components/link";
import { href } from "../router";

export function NotFoundPage() {
  return (
    <Box textAlign="center" padding="xxl">
      <Box variant="h1">There is no such page</Box>
      <Box variant="p">
        Go to the <Link href={href("transfers")}>transfers</Link>, <Link href={href("agents")}>agents</Link>{" "}
        or <Link href={href("templates")}>templates</Link>.
      </Box>
    </Box>
  );
}
