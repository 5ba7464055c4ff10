import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { newKey } from "../../api/idempotency";
import { errorAt } from "../../api/problem";
import { useApi } from "../../appContext";
import { DecisionBadge } from "../../components/DecisionBadge";
import { ProblemAlert } from "../../components/ProblemAlert";
import { Name } from "../../components/text";
import { actorName, safeText } from "../../format/names";
import { useAgentsNamed } from "../../hooks/queries";
import { t } from "../../i18n";
import type { PolicyTested } from "../../types";

/** Form that tests whether policies allow a person's transfer. Nothing is transferred. */
export function Tester() {
  const api = useApi();
  const labels = t().policies;
  const [person, setPerson] = useState("");
  const [source, setSource] = useState("");
  const [destination, setDestination] = useState("");
  const test = useMutation({
    mutationFn: () =>
      api.post<PolicyTested>(
        "/policies/test",
        { person: person.trim() || null, transfer: { source, destinations: [destination] } },
        newKey(),
      ),
  });

  const errors = {
    source: errorAt(test.error, "transfer.source"),
    destination: errorAt(test.error, "transfer.destinations"),
  };
  const atFields = errors.source || errors.destination;

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (!test.isPending) test.mutate();
  }

  return (
    <form onSubmit={submit}>
      <Container header={<Header description={labels.testHint}>{labels.test}</Header>}>
        <SpaceBetween size="m">
          <ColumnLayout columns={3}>
            <FormField label={labels.person} constraintText={labels.personHint}>
              <Input
                value={person}
                onChange={({ detail }) => setPerson(detail.value)}
                placeholder="ann@example.org"
                spellcheck={false}
              />
            </FormField>
            <FormField label={labels.from} errorText={errors.source}>
              <Input
                value={source}
                onChange={({ detail }) => setSource(detail.value)}
                placeholder="server-b:/data/videos/"
                spellcheck={false}
              />
            </FormField>
            <FormField label={labels.to} errorText={errors.destination}>
              <Input
                value={destination}
                onChange={({ detail }) => setDestination(detail.value)}
                placeholder="server-c:/archive/"
                spellcheck={false}
              />
            </FormField>
          </ColumnLayout>
          <Button loading={test.isPending} disabled={!source || !destination}>
            {labels.submit}
          </Button>
          {test.error && !atFields && <ProblemAlert error={test.error} />}
          <div aria-live="polite">{test.data && <Answer answer={test.data} />}</div>
        </SpaceBetween>
      </Container>
    </form>
  );
}

function Answer({ answer }: { answer: PolicyTested }) {
  const labels = t().policies;
  const names = agentsIn(answer);
  const agents = useAgentsNamed(names);
  const known = agents.isPlaceholderData ? undefined : agents.data?.agents.map(({ agent_id }) => agent_id);
  // Of names without an agent, the answer is that of an agent without tags.
  const missing = known ? names.filter((name) => !known.includes(name)) : [];
  return (
    <SpaceBetween size="xs">
      <strong>
        <Name>
          {labels.who(actorName(answer.person), answer.groups.map(safeText).join(", ") || t().common.none)}
        </Name>
      </strong>
      {answer.movements.map((one) => (
        <div key={`${one.source} ${one.destination}`}>
          <DecisionBadge of={one.outcome} /> <Name>{`${one.source} → ${one.destination}`}</Name>{" "}
          <Name>{one.policies.length ? labels.by(one.policies.join(", ")) : labels.notPermitted}</Name>
        </div>
      ))}
      {missing.length > 0 && (
        <StatusIndicator type="warning">
          <Name>{labels.unknownAgents(missing.join(", "))}</Name>
        </StatusIndicator>
      )}
    </SpaceBetween>
  );
}

/** Return the names of agents in the tested movements. */
function agentsIn({ movements }: PolicyTested): string[] {
  const named = movements
    .flatMap(({ source, destination }) => [source, destination])
    .filter((place) => !place.startsWith("s3://"))
    .map((place) => place.slice(0, place.indexOf(":")));
  return [...new Set(named)];
}
