import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Textarea from "@cloudscape-design/components/textarea";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { errorAt } from "../../api/problem";
import { useAppContext } from "../../appContext";
import { ProblemAlert } from "../../components/ProblemAlert";
import { type Tag, TagsEditor, tagsForApi, toEditorTags } from "../../components/TagsEditor";
import { refetchAgents } from "../../hooks/queries";
import { t } from "../../i18n";
import type { Agent } from "../../types";

/** Settings of an agent that an administrator may change here. Roots are set on the host. */
export function Settings({ agent }: { agent: Agent }) {
  const { api, notify } = useAppContext();
  const queries = useQueryClient();
  const [tags, setTags] = useState<readonly Tag[]>(() => toEditorTags(agent.tags));
  const [valid, setValid] = useState(true);
  const known = agent.endpoints.join("\n");
  const [addresses, setAddresses] = useState(known);
  const save = useMutation({
    mutationFn: () => {
      // Unchanged addresses stay the ones that the agent reports.
      const endpoints = addresses === known ? null : addresses.split(/\s+/).filter(Boolean);
      return api.patch<Agent>(`/agents/${encodeURIComponent(agent.agent_id)}`, {
        tags: tagsForApi(tags),
        endpoints,
      });
    },
    onSuccess: () => {
      notify({ type: "success", header: t().agent.saved(agent.agent_id) });
      return refetchAgents(queries);
    },
  });
  return (
    <Container
      header={
        <Header
          actions={
            <Button loading={save.isPending} disabled={!valid} onClick={() => save.mutate()}>
              {t().common.save}
            </Button>
          }
        >
          {t().agent.settings}
        </Header>
      }
    >
      <SpaceBetween size="l">
        {save.error && <ProblemAlert error={save.error} />}
        <TagsEditor
          value={tags}
          onChange={(next, isRight) => {
            setTags(next);
            setValid(isRight);
          }}
        />
        <FormField
          label={t().agent.endpointsLabel}
          description={t().agent.endpointsHint}
          errorText={errorAt(save.error, "endpoints")}
        >
          <Textarea
            value={addresses}
            onChange={({ detail }) => setAddresses(detail.value)}
            rows={3}
            spellcheck={false}
          />
        </FormField>
      </SpaceBetween>
    </Container>
  );
}
