import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, useState } from "react";
import type { SignInAttempt } from "../hooks/useSignIn";
import { t } from "../i18n";
import type { Challenge } from "../session/cognito";
import { AuthenticatorKey } from "./AuthenticatorKey";

const CHALLENGES = {
  NEW_PASSWORD_REQUIRED: {
    words: () => t().signIn.newPassword,
    complete: "new-password",
    type: "password",
  },
  SOFTWARE_TOKEN_MFA: {
    words: () => t().signIn.code,
    complete: "one-time-code",
    type: "text",
  },
  MFA_SETUP: {
    words: () => t().signIn.setUp,
    complete: "one-time-code",
    type: "text",
  },
} as const;

interface Props {
  attempt: SignInAttempt;
  challenge: Challenge;
  /** Name and stage for the label in an authenticator app. */
  user: string;
  stage: string;
}

/** Ask for what Cognito wants besides the password. */
export function ChallengeForm({ attempt, challenge, user, stage }: Props) {
  const [value, setValue] = useState("");
  const { busy } = attempt;
  const fields = CHALLENGES[challenge.name];
  const words = fields.words();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (value && !busy) attempt.answer(fields.type === "text" ? value.replaceAll(" ", "") : value);
  };
  return (
    <form onSubmit={submit}>
      <Form
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" formAction="none" onClick={attempt.cancel}>
              {t().common.back}
            </Button>
            <Button variant="primary" formAction="submit" loading={busy} disabled={!value}>
              {t().signIn.next}
            </Button>
          </SpaceBetween>
        }
      >
        <Container header={<Header variant="h1">{words.title}</Header>}>
          <SpaceBetween size="m">
            {challenge.key && <AuthenticatorKey secret={challenge.key} user={user} stage={stage} />}
            <FormField label={words.label} constraintText={words.hint}>
              <Input
                value={value}
                onChange={({ detail }) => setValue(detail.value)}
                type={fields.type}
                autoComplete={fields.complete}
                autoFocus
              />
            </FormField>
          </SpaceBetween>
        </Container>
      </Form>
    </form>
  );
}
