import { useQueryClient } from "@tanstack/react-query";
import { Component, type ReactNode } from "react";
import { forgetFailures, retryFailedScripts } from "../hooks/lazyPage";
import { PageError } from "./PageError";
import { ProblemAlert } from "./ProblemAlert";

interface Props {
  /** Title of the page, if the boundary is around a whole page. */
  title?: string;
  /** Address of the page: a new address clears the error. */
  place: string;
  children: ReactNode;
}

/** Contain rendering errors and scripts that failed to load: show the problem and a retry button. */
export function ErrorBoundary(props: Props) {
  const queries = useQueryClient();
  // The cached data may have caused the error: fetch it again.
  const forget = () => queries.removeQueries({ type: "inactive" });
  return <CatchErrors key={props.place} {...props} onAgain={forget} />;
}

class CatchErrors extends Component<Props & { onAgain(): void }, { error: unknown }> {
  override state = { error: null };

  constructor(props: Props & { onAgain(): void }) {
    super(props);
    forgetFailures();
  }

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  retry = async () => {
    if (this.state.error === null) return;
    await retryFailedScripts();
    this.props.onAgain();
    this.setState({ error: null });
  };

  override componentDidMount() {
    window.addEventListener("online", this.retry);
  }

  override componentWillUnmount() {
    window.removeEventListener("online", this.retry);
  }

  override render() {
    const { error } = this.state;
    if (error === null) return this.props.children;
    const { title } = this.props;
    return title ? (
      <PageError title={title} error={error} onRetry={this.retry} />
    ) : (
      <ProblemAlert error={error} onRetry={this.retry} />
    );
  }
}
