import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Textarea from "@cloudscape-design/components/textarea";
import { useState } from "react";
import { Name } from "../../components/text";
import { t } from "../../i18n";
import type { TemplateRequest } from "../../types";
import { sampleEvent, testUpload, type Upload, uploadsIn } from "./testTemplate";

const MAX_ROWS = 16;

/** Show what an upload (an object key or an S3 event) would start with the template as edited. */
export function TemplateTester({ template }: { template: TemplateRequest }) {
  const labels = t().template;
  const { prefix, suffix } = template.trigger;
  const [given, setGiven] = useState<string | null>(null);
  const text = given ?? `${prefix}example${suffix}`;
  const uploads = uploadsIn(text);
  return (
    <Container
      header={
        <Header
          description={labels.testHint}
          actions={
            <Button formAction="none" onClick={() => setGiven(sampleEvent(template))}>
              {labels.sampleEvent}
            </Button>
          }
        >
          {labels.test}
        </Header>
      }
    >
      <FormField
        label={labels.testInput}
        description={labels.testInputHint}
        errorText={uploads === null && labels.unreadableInput}
        stretch
      >
        <Textarea
          value={text}
          onChange={({ detail }) => setGiven(detail.value)}
          rows={Math.min(MAX_ROWS, text.split("\n").length)}
          spellcheck={false}
        />
      </FormField>
      <div className="answer" aria-live="polite">
        {!template.enabled && <StatusIndicator type="stopped">{labels.templateDisabled}</StatusIndicator>}
        {uploads?.map((upload) => (
          <Answer key={`${upload.bucket} ${upload.key}`} template={template} upload={upload} />
        ))}
      </div>
    </Container>
  );
}

function Answer({ template, upload }: { template: TemplateRequest; upload: Upload }) {
  const labels = t().template;
  const answer = testUpload(template, upload);
  if ("misses" in answer) {
    return (
      <>
        <StatusIndicator type="warning">{labels.noMatch}</StatusIndicator>
        {answer.misses.map((what) => (
          <div key={what}>
            <Name>{labels.mismatches[what](template.trigger)}</Name>
          </div>
        ))}
      </>
    );
  }
  return (
    <>
      <StatusIndicator type="success">{labels.matches}</StatusIndicator>
      {answer.arrives.map((place) => (
        <div key={place} className="mono">
          <Name>{place}</Name>
        </div>
      ))}
    </>
  );
}
