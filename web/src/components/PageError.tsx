import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { ProblemAlert } from "./ProblemAlert";

interface Props {
  /** What the page would show. */
  title: string;
  error: unknown;
  onRetry(): void;
}

/** A page that could not be loaded: still a page, with its title, and what to do. */
export function PageError({ title, error, onRetry }: Props) {
  return (
    <SpaceBetween size="l">
      <Header variant="h1">{title}</Header>
      <ProblemAlert error={error} onRetry={onRetry} />
    </SpaceBetween>
  );
}
