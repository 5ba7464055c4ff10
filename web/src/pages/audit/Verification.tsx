import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useMutation } from "@tanstack/react-query";
import { useApi } from "../../appContext";
import { ProblemAlert } from "../../components/ProblemAlert";
import { Name } from "../../components/text";
import { count } from "../../format/sizes";
import { t } from "../../i18n";
import { type VerificationResult, verifyAudit } from "./verifyAudit";

/** Verify the audit in this browser and show the result. */
export function Verification() {
  const api = useApi();
  const labels = t().audit;
  const proof = useMutation({ mutationFn: () => verifyAudit(api, Date.now()) });
  return (
    <SpaceBetween size="xs">
      <Button loading={proof.isPending} onClick={() => proof.mutate()}>
        {labels.verifyNow}
      </Button>
      <div aria-live="polite">{proof.data && <Result of={proof.data} />}</div>
      {proof.error && <ProblemAlert error={proof.error} />}
    </SpaceBetween>
  );
}

function Result({ of: { records, seals, errors } }: { of: VerificationResult }) {
  const labels = t().audit;
  const checked = labels.checked(count(records), count(seals));
  if (errors.length === 0) {
    return (
      <StatusIndicator type="success">
        {checked} {labels.intact}
      </StatusIndicator>
    );
  }
  return (
    <>
      <StatusIndicator type="error">
        {checked} {labels.problems(errors.length)}
      </StatusIndicator>
      <ul>
        {errors.map(({ kind, what }) => (
          <li key={`${kind} ${what}`}>
            <Name>{`${what}: ${labels.errors[kind]}`}</Name>
          </li>
        ))}
      </ul>
    </>
  );
}
