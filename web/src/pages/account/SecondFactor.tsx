import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useAppContext } from "../../appContext";
import { AuthenticatorKey } from "../../components/AuthenticatorKey";
import { ConfirmDialog } from "../../components/ConfirmDialog";
import { Loading } from "../../components/Loading";
import { ProblemAlert } from "../../components/ProblemAlert";
import { t } from "../../i18n";
import {
  beginSecondFactor,
  finishSecondFactor,
  hasSecondFactor,
  removeSecondFactor,
} from "../../session/account";

/** Add, replace or remove the authenticator app. */
export function SecondFactor({ accessToken }: { accessToken: string }) {
  const { settings, notify } = useAppContext();
  const pool = settings.signIn;
  const words = t().account;
  const [removing, setRemoving] = useState(false);
  const status = useQuery({
    queryKey: ["account", "second-factor"],
    queryFn: () => hasSecondFactor(pool, accessToken),
    gcTime: 0,
  });
  const begin = useMutation({ mutationFn: () => beginSecondFactor(pool, accessToken) });
  const remove = useMutation({
    mutationFn: () => removeSecondFactor(pool, accessToken),
    onSuccess: async () => {
      await status.refetch();
      setRemoving(false);
      notify({ type: "success", header: words.removed });
    },
  });
  const finished = async () => {
    await status.refetch();
    begin.reset();
    notify({ type: "success", header: words.added });
  };
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={words.secondFactorHint}
          actions={
            !begin.data && (
              <SpaceBetween direction="horizontal" size="xs">
                <Button loading={begin.isPending} onClick={() => begin.mutate()}>
                  {status.data ? words.replace : words.add}
                </Button>
                {status.data && <Button onClick={() => setRemoving(true)}>{words.remove}</Button>}
              </SpaceBetween>
            )
          }
        >
          {words.secondFactor}
        </Header>
      }
    >
      <SpaceBetween size="m">
        {(status.error ?? begin.error) && <ProblemAlert error={status.error ?? begin.error} />}
        {status.isPending ? (
          <Loading what={words.secondFactor} />
        ) : (
          status.isSuccess && (
            <StatusIndicator type={status.data ? "success" : "stopped"}>
              {status.data ? words.on : words.off}
            </StatusIndicator>
          )
        )}
        {begin.data && (
          <FirstCode
            accessToken={accessToken}
            secret={begin.data}
            onFinished={finished}
            onCancel={begin.reset}
          />
        )}
      </SpaceBetween>
      {removing && (
        <ConfirmDialog
          title={words.removeTitle}
          verb={words.remove}
          destructive
          busy={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate()}
          onClose={() => setRemoving(false)}
        >
          {words.removeWhy}
        </ConfirmDialog>
      )}
    </Container>
  );
}

interface FirstCodeProps {
  accessToken: string;
  secret: string;
  onFinished(): void;
  onCancel(): void;
}

/** Show the key of a new authenticator and ask for the first code that it shows. */
function FirstCode({ accessToken, secret, onFinished, onCancel }: FirstCodeProps) {
  const { settings, claims } = useAppContext();
  const [code, setCode] = useState("");
  const finish = useMutation({
    mutationFn: () => finishSecondFactor(settings.signIn, accessToken, code.replaceAll(" ", "")),
    onSuccess: onFinished,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (code && !finish.isPending) finish.mutate();
  };
  return (
    <form onSubmit={submit}>
      <SpaceBetween size="m">
        <AuthenticatorKey secret={secret} user={claims.user} stage={settings.stage} />
        {finish.error && <ProblemAlert error={finish.error} />}
        <FormField label={t().signIn.code.label} constraintText={t().signIn.code.hint}>
          <Input
            value={code}
            onChange={({ detail }) => setCode(detail.value)}
            autoComplete="one-time-code"
            inputMode="numeric"
            autoFocus
          />
        </FormField>
        <SpaceBetween direction="horizontal" size="xs">
          <Button variant="link" formAction="none" onClick={onCancel}>
            {t().common.cancel}
          </Button>
          <Button variant="primary" formAction="submit" loading={finish.isPending} disabled={!code}>
            {t().account.turnOn}
          </Button>
        </SpaceBetween>
      </SpaceBetween>
    </form>
  );
}
