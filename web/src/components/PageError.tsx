import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { ProblemAlert } from "./ProblemAlert";

interface Props {
  /** Title of the page. */
  title: string;
  error: unknown;
  onRetry(): void;
}

/** A page that could not be loaded: its title, the problem and a retry button. */
export function PageError({ title, error, onRetry }: Props) {
  return (
    <SpaceBetween size="l">
      <Header variant="h1">{title}</Header>
      <ProblemAlert error={error} onRetry={onRetry} />
    </SpaceBetween>
  );
}
