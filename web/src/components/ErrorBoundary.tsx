import { useQueryClient } from "@tanstack/react-query";
import { Component, type ReactNode } from "react";
import { forgetFailures, retryFailedScripts } from "../hooks/lazyPage";
import { PageError } from "./PageError";
import { ProblemAlert } from "./ProblemAlert";

interface Props {
  /** What a whole page shows, by name. */
  title?: string;
  /** Where it is: somewhere else there is nothing wrong yet. */
  place: string;
  children: ReactNode;
}

/** What could not be drawn, or whose script did not come, leaves all around it standing, and can be tried again. */
export function ErrorBoundary(props: Props) {
  const queries = useQueryClient();
  // What it was drawn from may be to blame: that is asked for anew.
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
