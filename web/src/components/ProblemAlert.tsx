import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Link from "@cloudscape-design/components/link";
import { Fragment, type ReactNode, useContext } from "react";
import { asProblem } from "../api/problem";
import { AppContext } from "../appContext";
import { safeText } from "../format/names";
import { problemWords } from "../format/problems";
import { t } from "../i18n";
import { href } from "../router";
import type { Problem } from "../types";
import { ReportedText } from "./text";

interface Props {
  error: unknown;
  onRetry?: () => void;
}

/** Show a failed request: what happened, where, and what to do. */
export function ProblemAlert({ error, onRetry }: Props) {
  const problem = asProblem(error);
  const { title = problem.title, message, advice, lang } = problemWords(problem.reported);
  return (
    <Alert
      type="error"
      header={safeText(title)}
      action={onRetry && <Button onClick={onRetry}>{t().common.retry}</Button>}
    >
      {message && (
        <div className="name" lang={lang}>
          {safeText(message)}
        </div>
      )}
      {problem.errors.length > 0 && (
        <ul>
          {problem.errors.map((one) => (
            <li key={`${one.at} ${one.message}`} className="name">
              {one.at && <code>{safeText(one.at)}: </code>}
              {safeText(one.message)}
            </li>
          ))}
        </ul>
      )}
      {problem.policies.length > 0 && <ForbiddingPolicies policies={problem.policies} />}
      {advice && (
        <Box fontWeight="bold">
          <span lang={lang}>{safeText(advice)}</span>
        </Box>
      )}
    </Alert>
  );
}

/** List the policies that forbid the request, as links for administrators. */
function ForbiddingPolicies({ policies }: { policies: readonly string[] }) {
  const admin = useContext(AppContext)?.role === "admin";
  return (
    <div>
      {t().problems.forbiddenBy}{" "}
      {policies.map((name, number) => (
        <Fragment key={name}>
          {number > 0 && ", "}
          {admin ? <Link href={href("policies", name, "edit")}>{name}</Link> : <strong>{name}</strong>}
        </Fragment>
      ))}
    </div>
  );
}

interface HopProblemProps {
  problem: Problem;
  type?: "error" | "warning";
  /** Consequence for the hop. */
  children?: ReactNode;
}

/** Show the problem of a hop or a file, as its agent reported it. */
export function HopProblem({ problem, type = "error", children }: HopProblemProps) {
  const { title, message, advice, lang } = problemWords(problem);
  const said = <ReportedText lang={lang}>{message}</ReportedText>;
  return (
    <Alert type={type} header={title ?? said}>
      {title && <div>{said}</div>}
      {problem.path && !message.includes(problem.path) && (
        <div className="name mono">{safeText(problem.path)}</div>
      )}
      {advice && (
        <div>
          <ReportedText lang={lang}>{advice}</ReportedText>
        </div>
      )}
      {children && <div>{children}</div>}
    </Alert>
  );
}
