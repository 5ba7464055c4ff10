import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useQuery } from "@tanstack/react-query";
import { problemFrom } from "../../api/problem";
import { useAppContext } from "../../appContext";
import { Copyable } from "../../components/Copyable";
import { Loading } from "../../components/Loading";
import { ProblemAlert } from "../../components/ProblemAlert";
import { t } from "../../i18n";

/** The published package of the command, written by `infra.publish`. */
interface Package {
  /** Its path below the console's address. */
  path: string;
  sha256: string;
}

/** How to get the command line: install it, sign in, and try it. */
export default function CommandLinePage() {
  const { settings } = useAppContext();
  const labels = t().commandLine;
  const query = useQuery({ queryKey: ["command-line"], queryFn: loadPackage });
  const origin = window.location.origin;
  return (
    <SpaceBetween size="l">
      <Header variant="h1" description={labels.version(settings.version)}>
        {labels.title}
      </Header>
      <Container>
        <SpaceBetween size="l">
          {query.isPending && <Loading what={labels.thing} />}
          {query.isError && <ProblemAlert error={query.error} onRetry={() => query.refetch()} />}
          {query.data && <Copyable label={labels.install} text={installCommand(origin, query.data)} />}
          <Copyable label={labels.login} text={`crosshaul login ${origin}`} />
          <Copyable label={labels.first} text="crosshaul agents" />
          <Box color="text-body-secondary">{labels.more}</Box>
        </SpaceBetween>
      </Container>
    </SpaceBetween>
  );
}

/** pip verifies the digest in the fragment. */
function installCommand(origin: string, { path, sha256 }: Package): string {
  return `pipx install "crosshaul @ ${origin}/${path}#sha256=${sha256}"`;
}

async function loadPackage({ signal }: { signal: AbortSignal }): Promise<Package> {
  const response = await fetch("./command-line.json", { cache: "no-store", credentials: "omit", signal });
  if (!response.ok) throw await problemFrom(response);
  return response.json();
}
