import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, useState } from "react";
import { ChallengeForm } from "../components/ChallengeForm";
import { ProblemAlert } from "../components/ProblemAlert";
import type { Settings } from "../config";
import { useSignIn } from "../hooks/useSignIn";
import { LANGUAGES, type Language, setLanguage, t, useLanguage } from "../i18n";
import type { Ending, Session } from "../session/session";
import { ForgotPassword } from "./ForgotPassword";

interface Props {
  settings: Settings;
  session: Session;
  ending: Ending | null;
}

export function SignInPage({ settings, session, ending }: Props) {
  const [name, setName] = useState("");
  const [forgotten, setForgotten] = useState(false);
  const attempt = useSignIn(settings.signIn, session.begin);
  const { challenge, error } = attempt;
  return (
    <main className="sign-in">
      <Brand />
      <SpaceBetween size="m">
        {ending && !error && !challenge && <EndingAlert ending={ending} />}
        {error !== null && <ProblemAlert error={error} />}
        {challenge ? (
          <ChallengeForm
            key={challenge.session}
            attempt={attempt}
            challenge={challenge}
            user={name}
            stage={settings.stage}
          />
        ) : forgotten ? (
          <ForgotPassword
            pool={settings.signIn}
            name={name}
            onReset={(user, password) => {
              setForgotten(false);
              setName(user);
              attempt.start(user, password);
            }}
            onBack={() => setForgotten(false)}
          />
        ) : (
          <PasswordForm
            stage={settings.stage}
            name={name}
            onName={setName}
            busy={attempt.busy}
            onSignIn={(password) => attempt.start(name.trim(), password)}
            onForgotten={() => {
              attempt.cancel();
              setForgotten(true);
            }}
          />
        )}
      </SpaceBetween>
    </main>
  );
}

/** The logo and the choice of language, for people who cannot read the form yet. */
function Brand() {
  const { language } = useLanguage();
  return (
    <div className="brand">
      <img src="./favicon.svg" alt={t().nav.logo} width={40} height={40} />
      <SegmentedControl
        label={t().nav.language}
        selectedId={language}
        options={Object.entries(LANGUAGES).map(([id, text]) => ({ id, text }))}
        onChange={({ detail }) => {
          // If it cannot be loaded, the page stays as it is; the choice is kept for the next visit.
          setLanguage(detail.selectedId as Language, true).catch(() => undefined);
        }}
      />
    </div>
  );
}

function EndingAlert({ ending }: { ending: Ending }) {
  const words = t().signIn;
  switch (ending) {
    case "expired":
      return <Alert type="info">{words.ended}</Alert>;
    case "password-changed":
      return <Alert type="success">{words.passwordChanged}</Alert>;
    case "password-changed-here":
      return <Alert type="warning">{words.passwordChangedHere}</Alert>;
    default:
      return null;
  }
}

interface PasswordProps {
  stage: string;
  name: string;
  onName(name: string): void;
  busy: boolean;
  onSignIn(password: string): void;
  onForgotten(): void;
}

function PasswordForm({ stage, name, onName, busy, onSignIn, onForgotten }: PasswordProps) {
  const [password, setPassword] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (name && password && !busy) onSignIn(password);
  };
  return (
    <form onSubmit={submit}>
      <Form
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" formAction="none" onClick={onForgotten}>
              {t().signIn.forgot.link}
            </Button>
            <Button variant="primary" formAction="submit" loading={busy} disabled={!name || !password}>
              {t().signIn.submit}
            </Button>
          </SpaceBetween>
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
                onChange={({ detail }) => onName(detail.value)}
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
