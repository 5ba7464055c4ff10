import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, useState } from "react";
import { ProblemAlert } from "../components/ProblemAlert";
import type { Settings } from "../config";
import { t } from "../i18n";
import { type Answer, answerChallenge, type Challenge, signIn } from "../session/cognito";
import type { Ending, Session } from "../session/session";

interface Props {
  settings: Settings;
  session: Session;
  ending: Ending | null;
}

export function SignInPage({ settings, session, ending }: Props) {
  const [challenge, setChallenge] = useState<Challenge | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  async function attempt(answering: Promise<Answer>): Promise<void> {
    setBusy(true);
    setError(null);
    try {
      const answer = await answering;
      "tokens" in answer ? session.begin(answer.tokens) : setChallenge(answer.challenge);
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  }

  return (
    <main className="sign-in">
      <SpaceBetween size="m">
        {ending === "expired" && !error && <Alert type="info">{t().signIn.ended}</Alert>}
        {error !== null && <ProblemAlert error={error} />}
        {challenge ? (
          <ChallengeForm
            challenge={challenge}
            busy={busy}
            onAnswer={(value) => attempt(answerChallenge(settings.signIn, challenge, value))}
            onBack={() => setChallenge(null)}
          />
        ) : (
          <PasswordForm
            stage={settings.stage}
            busy={busy}
            onSignIn={(name, password) => attempt(signIn(settings.signIn, name, password))}
          />
        )}
      </SpaceBetween>
    </main>
  );
}

interface PasswordProps {
  stage: string;
  busy: boolean;
  onSignIn(name: string, password: string): void;
}

function PasswordForm({ stage, busy, onSignIn }: PasswordProps) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name && password && !busy) onSignIn(name.trim(), password);
  };
  return (
    <form onSubmit={submit}>
      <Form
        actions={
          <Button variant="primary" formAction="submit" loading={busy} disabled={!name || !password}>
            {t().signIn.submit}
          </Button>
        }
      >
        <Container
          header={
            <Header variant="h1" description={t().nav.stage(stage)}>
              Crosshaul
            </Header>
          }
        >
          <SpaceBetween size="m">
            <FormField label={t().signIn.user}>
              <Input
                value={name}
                onChange={({ detail }) => setName(detail.value)}
                autoComplete="username"
                name="username"
                autoFocus
                spellcheck={false}
              />
            </FormField>
            <FormField label={t().signIn.password}>
              <Input
                value={password}
                onChange={({ detail }) => setPassword(detail.value)}
                type="password"
                name="password"
                autoComplete="current-password"
              />
            </FormField>
          </SpaceBetween>
        </Container>
      </Form>
    </form>
  );
}

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
} as const;

interface ChallengeProps {
  challenge: Challenge;
  busy: boolean;
  onAnswer(value: string): void;
  onBack(): void;
}

function ChallengeForm({ challenge, busy, onAnswer, onBack }: ChallengeProps) {
  const [value, setValue] = useState("");
  const fields = CHALLENGES[challenge.name];
  const words = fields.words();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (value && !busy) onAnswer(value);
  };
  return (
    <form onSubmit={submit}>
      <Form
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" formAction="none" onClick={onBack}>
              {t().common.back}
            </Button>
            <Button variant="primary" formAction="submit" loading={busy} disabled={!value}>
              {t().signIn.next}
            </Button>
          </SpaceBetween>
        }
      >
        <Container header={<Header variant="h1">{words.title}</Header>}>
          <FormField label={words.label} constraintText={words.hint}>
            <Input
              value={value}
              onChange={({ detail }) => setValue(detail.value)}
              type={fields.type}
              autoComplete={fields.complete}
              autoFocus
            />
          </FormField>
        </Container>
      </Form>
    </form>
  );
}
