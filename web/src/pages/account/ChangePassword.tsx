import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useAppContext } from "../../appContext";
import { ProblemAlert } from "../../components/ProblemAlert";
import { t } from "../../i18n";
import { changePassword, endSessions } from "../../session/account";

interface Props {
  accessToken: string;
  old: string;
}

/** Change the password, and end every session, in case that somebody else knows the old one. */
export function ChangePassword({ accessToken, old }: Props) {
  const { settings, session } = useAppContext();
  const [wanted, setWanted] = useState("");
  const change = useMutation({
    mutationFn: async () => {
      await changePassword(settings.signIn, accessToken, old, wanted);
      return endSessions(settings.signIn, accessToken).then(
        () => "password-changed" as const,
        () => "password-changed-here" as const,
      );
    },
    onSuccess: (ending) => session.end(ending),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (wanted && !change.isPending) change.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Form
        actions={
          <Button formAction="submit" loading={change.isPending} disabled={!wanted}>
            {t().account.change}
          </Button>
        }
      >
        <Container
          header={
            <Header variant="h2" description={t().account.changeHint}>
              {t().signIn.password}
            </Header>
          }
        >
          <SpaceBetween size="m">
            {change.error && <ProblemAlert error={change.error} />}
            <FormField label={t().signIn.newPassword.label} constraintText={t().signIn.newPassword.hint}>
              <Input
                value={wanted}
                onChange={({ detail }) => setWanted(detail.value)}
                type="password"
                autoComplete="new-password"
              />
            </FormField>
          </SpaceBetween>
        </Container>
      </Form>
    </form>
  );
}
