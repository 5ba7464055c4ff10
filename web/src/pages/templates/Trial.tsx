import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useState } from "react";
import { Name } from "../../parts/text";
import type { Template } from "../../types";
import { t } from "../../words";
import { tried } from "./trying";

/** A name in; what its upload would start out. */
export function Trial({ template }: { template: Template }) {
  const words = t().template;
  const { prefix, suffix } = template.trigger;
  const [key, setKey] = useState(`${prefix}example${suffix}`);
  const answer = tried(template, key);
  return (
    <Container header={<Header description={words.tryHint}>{words.try}</Header>}>
      <FormField label={words.tryKey} stretch>
        <Input value={key} onChange={({ detail }) => setKey(detail.value)} spellcheck={false} />
      </FormField>
      <div className="answer" aria-live="polite">
        {!template.enabled && <StatusIndicator type="stopped">{words.tryOff}</StatusIndicator>}
        {"misses" in answer ? (
          <>
            <StatusIndicator type="warning">{words.tryNo}</StatusIndicator>
            {answer.misses.map((what) => (
              <div key={what}>
                <Name>{what === "prefix" ? words.tryPrefix(prefix) : words.trySuffix(suffix)}</Name>
              </div>
            ))}
          </>
        ) : (
          <>
            <StatusIndicator type="success">{words.tryYes}</StatusIndicator>
            {answer.arrives.map((place) => (
              <div key={place} className="mono">
                <Name>{place}</Name>
              </div>
            ))}
          </>
        )}
      </div>
    </Container>
  );
}
