import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, useEffect, useState } from "react";
import { useAppContext } from "../../appContext";
import { ChallengeForm } from "../../components/ChallengeForm";
import { ProblemAlert } from "../../components/ProblemAlert";
import { safeText } from "../../format/names";
import { useSignIn } from "../../hooks/useSignIn";
import { t } from "../../i18n";
import { revoke, type Tokens } from "../../session/cognito";
import { ChangePassword } from "./ChangePassword";
import { SecondFactor } from "./SecondFactor";

/** Tokens of a second sign-in, and the password that it took; kept while the page is open. */
interface Proof {
  tokens: Tokens;
  password: string;
}

/**
 * Password and second factor of the person who is signed in. The page asks for the password first: whoever
 * finds an open browser must not take over the account.
 */
export default function AccountPage() {
  const { settings, claims } = useAppContext();
  const [proof, setProof] = useState<Proof | null>(null);
  const refreshToken = proof?.tokens.refreshToken;
  useEffect(() => {
    if (!refreshToken) return;
    return () => void revoke(settings.signIn, refreshToken).catch(() => undefined);
  }, [refreshToken, settings.signIn]);
  return (
    <ContentLayout
      header={
        <Header variant="h1" description={safeText(claims.user)}>
          {t().account.title}
        </Header>
      }
    >
      {proof ? (
        <SpaceBetween size="l">
          <ChangePassword accessToken={proof.tokens.accessToken} old={proof.password} />
          <SecondFactor accessToken={proof.tokens.accessToken} />
        </SpaceBetween>
      ) : (
        <Prove onProven={setProof} />
      )}
    </ContentLayout>
  );
}

function Prove({ onProven }: { onProven(proof: Proof): void }) {
  const { settings, claims } = useAppContext();
  const [password, setPassword] = useState("");
  const attempt = useSignIn(settings.signIn, (tokens) => onProven({ tokens, password }));
  const { challenge, error, busy } = attempt;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (password && !busy) attempt.start(claims.user, password);
  };
  return (
    <SpaceBetween size="m">
      {error !== null && <ProblemAlert error={error} />}
      {challenge ? (
        <ChallengeForm
          key={challenge.session}
          attempt={attempt}
          challenge={challenge}
          user={claims.user}
          stage={settings.stage}
        />
      ) : (
        <form onSubmit={submit}>
          <Form
            actions={
              <Button variant="primary" formAction="submit" loading={busy} disabled={!password}>
                {t().signIn.next}
              </Button>
            }
          >
            <Container header={<Header variant="h2">{t().account.prove}</Header>}>
              <FormField label={t().account.current} description={t().account.proveHint}>
                <Input
                  value={password}
                  onChange={({ detail }) => setPassword(detail.value)}
                  type="password"
                  autoComplete="current-password"
                />
              </FormField>
            </Container>
          </Form>
        </form>
      )}
    </SpaceBetween>
  );
}
