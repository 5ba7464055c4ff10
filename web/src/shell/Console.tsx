import AppLayout, { type AppLayoutProps } from "@cloudscape-design/components/app-layout";
import Flashbar, { type FlashbarProps } from "@cloudscape-design/components/flashbar";
import SideNavigation from "@cloudscape-design/components/side-navigation";
import TopNavigation from "@cloudscape-design/components/top-navigation";
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import type { Api } from "../api/client";
import type { Settings } from "../config";
import { type Notice, type Surroundings, SurroundingsContext } from "../context";
import { shown } from "../format/names";
import { useNarrow } from "../media";
import { NotFoundPage } from "../pages/NotFound";
import { Waiting } from "../parts/Waiting";
import { href, type Route, useRoute } from "../router";
import { type Claims, roleOf } from "../session/claims";
import type { Session } from "../session/session";

const AgentsPage = lazy(() => import("../pages/Agents"));
const NewTransferPage = lazy(() => import("../pages/NewTransfer"));
const TemplateFormPage = lazy(() => import("../pages/TemplateForm"));
const TemplatesPage = lazy(() => import("../pages/Templates"));
const TransferPage = lazy(() => import("../pages/Transfer"));
const TransfersPage = lazy(() => import("../pages/Transfers"));

interface Props {
  settings: Settings;
  session: Session;
  api: Api;
  claims: Claims;
}

const SECTIONS = [
  { type: "link", text: "Transfers", href: href("transfers") },
  { type: "link", text: "Agents", href: href("agents") },
  { type: "link", text: "Templates", href: href("templates") },
] as const;

/** The signed-in part: navigation around the page that the address names. */
export default function Console({ settings, session, api, claims }: Props) {
  const [notices, setNotices] = useState<FlashbarProps.MessageDefinition[]>([]);
  const notify = useCallback(
    (notice: Notice) => setNotices((all) => withNotice(all, notice, setNotices)),
    [],
  );
  const role = roleOf(claims.groups);
  const here = useMemo<Surroundings>(
    () => ({ api, settings, session, claims, role, notify }),
    [api, settings, session, claims, role, notify],
  );
  return (
    <SurroundingsContext.Provider value={here}>
      <Top session={session} claims={claims} />
      <Frame notices={notices} stage={settings.stage} />
    </SurroundingsContext.Provider>
  );
}

function withNotice(
  all: readonly FlashbarProps.MessageDefinition[],
  notice: Notice,
  set: (change: (all: FlashbarProps.MessageDefinition[]) => FlashbarProps.MessageDefinition[]) => void,
): FlashbarProps.MessageDefinition[] {
  const id = `${Date.now()}-${all.length}`;
  const onDismiss = () => set((now) => now.filter((one) => one.id !== id));
  return [{ ...notice, id, dismissible: true, dismissLabel: "Dismiss", onDismiss }, ...all].slice(0, 3);
}

function Top({ session, claims }: Pick<Props, "session" | "claims">) {
  const role = roleOf(claims.groups);
  return (
    <div id="top">
      <TopNavigation
        identity={{
          href: href("transfers"),
          title: "Crosshaul",
          logo: { src: "./favicon.svg", alt: "" },
        }}
        utilities={[
          {
            type: "menu-dropdown",
            text: shown(claims.user),
            description: role,
            iconName: "user-profile",
            items: [{ id: "sign-out", text: "Sign out" }],
            onItemClick: () => session.end("signed-out"),
          },
        ]}
      />
    </div>
  );
}

interface FrameProps {
  notices: FlashbarProps.MessageDefinition[];
  stage: string;
}

function Frame({ notices, stage }: FrameProps) {
  const [open, setOpen] = useState(!useNarrow());
  const route = useRoute();
  const { page, type, title } = pageOf(route);
  const section = href(route.path[0] ?? "transfers");
  useEffect(() => {
    document.title = `${title} · Crosshaul`;
    window.scrollTo(0, 0);
  }, [title]);
  return (
    <AppLayout
      headerSelector="#top"
      toolsHide
      contentType={type}
      navigation={
        <SideNavigation
          header={{ text: `Stage: ${stage}`, href: href("transfers") }}
          activeHref={section}
          items={SECTIONS}
        />
      }
      navigationOpen={open}
      onNavigationChange={({ detail }) => setOpen(detail.open)}
      navigationWidth={240}
      notifications={<Flashbar items={notices} stackItems={notices.length > 1} />}
      content={<Suspense fallback={<Waiting what="the page" />}>{page}</Suspense>}
    />
  );
}

/** `new` is a word of its own only at the end: a template may have that name, too. */
function shape(item: string | undefined, verb: string | undefined): string {
  if (verb) return `*/${verb}`;
  return item === "new" ? "new" : item ? "*" : "";
}

interface Page {
  page: ReactNode;
  type: AppLayoutProps.ContentType;
  title: string;
}

function pageOf({ path, query }: Route): Page {
  const [section = "transfers", item, verb, ...rest] = path;
  const missing: Page = { page: <NotFoundPage />, type: "default", title: "Not found" };
  if (rest.length > 0) return missing;
  switch (`${section}/${shape(item, verb)}`) {
    case "transfers/":
      return { page: <TransfersPage query={query} />, type: "table", title: "Transfers" };
    case "transfers/new":
      return { page: <NewTransferPage />, type: "form", title: "New transfer" };
    case "transfers/*":
      return {
        page: <TransferPage key={item} transferId={item ?? ""} />,
        type: "default",
        title: `Transfer ${item}`,
      };
    case "agents/":
      return { page: <AgentsPage />, type: "table", title: "Agents" };
    case "templates/":
      return { page: <TemplatesPage />, type: "table", title: "Templates" };
    case "templates/new":
      return { page: <TemplateFormPage key="new" />, type: "form", title: "New template" };
    case "templates/*/edit":
      return {
        page: <TemplateFormPage key={item} templateId={item} />,
        type: "form",
        title: `Template ${item}`,
      };
    default:
      return missing;
  }
}
