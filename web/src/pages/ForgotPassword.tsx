import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ProblemAlert } from "../components/ProblemAlert";
import { safeText } from "../format/names";
import { t } from "../i18n";
import { resetPassword, sendResetCode } from "../session/account";
import type { SignIn } from "../types";

interface Props {
  pool: SignIn;
  /** What was entered at the sign-in form. */
  name: string;
  onReset(name: string, password: string): void;
  onBack(): void;
}

/** Have a code sent by e-mail, then choose a new password with it. */
export function ForgotPassword({ pool, name: entered, onReset, onBack }: Props) {
  const [name, setName] = useState(entered);
  const [code, setCode] = useState("");
  const [password, setPassword] = useState("");
  const send = useMutation({ mutationFn: () => sendResetCode(pool, name.trim()) });
  const reset = useMutation({
    mutationFn: () => resetPassword(pool, name.trim(), code.trim(), password),
    onSuccess: () => onReset(name.trim(), password),
  });
  const words = t().signIn.forgot;
  const sent = send.isSuccess;
  const complete = sent ? code && password : name;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (complete && !send.isPending && !reset.isPending) sent ? reset.mutate() : send.mutate();
  };
  const error = send.error ?? reset.error;
  return (
    <form onSubmit={submit}>
      <SpaceBetween size="m">
        {error && <ProblemAlert error={error} />}
        <Form
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button variant="link" formAction="none" onClick={onBack}>
                {t().common.back}
              </Button>
              <Button
                variant="primary"
                formAction="submit"
                loading={send.isPending || reset.isPending}
                disabled={!complete}
              >
                {sent ? words.submit : words.send}
              </Button>
            </SpaceBetween>
          }
        >
          <Container header={<Header variant="h1">{words.title}</Header>}>
            {sent ? (
              <SpaceBetween size="m">
                <Alert type="info">{words.sent(safeText(send.data))}</Alert>
                <FormField label={words.code}>
                  <Input
                    value={code}
                    onChange={({ detail }) => setCode(detail.value)}
                    autoComplete="one-time-code"
                    autoFocus
                  />
                </FormField>
                <FormField label={t().signIn.newPassword.label} constraintText={t().signIn.newPassword.hint}>
                  <Input
                    value={password}
                    onChange={({ detail }) => setPassword(detail.value)}
                    type="password"
                    autoComplete="new-password"
                  />
                </FormField>
              </SpaceBetween>
            ) : (
              <FormField label={t().signIn.user} constraintText={words.hint}>
                <Input
                  value={name}
                  onChange={({ detail }) => setName(detail.value)}
                  autoComplete="username"
                  autoFocus
                  spellcheck={false}
                />
              </FormField>
            )}
          </Container>
        </Form>
      </SpaceBetween>
    </form>
  );
}
