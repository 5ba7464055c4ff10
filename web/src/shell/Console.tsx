import AppLayout, { type AppLayoutProps } from "@cloudscape-design/components/app-layout";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import Flashbar, { type FlashbarProps } from "@cloudscape-design/components/flashbar";
import SideNavigation from "@cloudscape-design/components/side-navigation";
import TopNavigation, { type TopNavigationProps } from "@cloudscape-design/components/top-navigation";
import { type ReactNode, Suspense, useCallback, useEffect, useMemo, useState } from "react";
import type { Api } from "../api/client";
import { AppContext, type AppContextValue, useAppContext } from "../appContext";
import { ErrorBoundary } from "../components/ErrorBoundary";
import { Loading } from "../components/Loading";
import type { Settings } from "../config";
import { safeText } from "../format/names";
import type { Notice } from "../format/problems";
import { duration } from "../format/sizes";
import { lazyPage } from "../hooks/lazyPage";
import { chooseTheme, currentTheme, type Theme } from "../hooks/useMedia";
import { LANGUAGES, type Language, setLanguage, t, useLanguage } from "../i18n";
import { type CatchUp, useCatchUp } from "../live/useCatchUp";
import { useChangeFeed } from "../live/useChangeFeed";
import { NotFoundPage } from "../pages/NotFoundPage";
import { go, href, type Route, useRoute } from "../router";
import { type Claims, mayAct, type Role, roleOf } from "../session/claims";
import type { Session } from "../session/session";
import { Content, SkipLink } from "./SkipLink";
import { useNavigation } from "./useNavigation";

const AccountPage = lazyPage(() => import("../pages/account/AccountPage"));
const AgentPage = lazyPage(() => import("../pages/agent/AgentPage"));
const AgentsPage = lazyPage(() => import("../pages/agents/AgentsPage"));
const ApprovalPage = lazyPage(() => import("../pages/approval/ApprovalPage"));
const AuditPage = lazyPage(() => import("../pages/audit/AuditPage"));
const CommandLinePage = lazyPage(() => import("../pages/commandLine/CommandLinePage"));
const NewTransferPage = lazyPage(() => import("../pages/newTransfer/NewTransferPage"));
const OverviewPage = lazyPage(() => import("../pages/overview/OverviewPage"));
const PoliciesPage = lazyPage(() => import("../pages/policies/PoliciesPage"));
const PolicyPage = lazyPage(() => import("../pages/policy/PolicyPage"));
const TemplateFormPage = lazyPage(() => import("../pages/templates/TemplateFormPage"));
const TemplatesPage = lazyPage(() => import("../pages/templates/TemplatesPage"));
const TransferPage = lazyPage(() => import("../pages/transfer/TransferPage"));
const TransfersPage = lazyPage(() => import("../pages/transfers/TransfersPage"));

interface Props {
  settings: Settings;
  session: Session;
  api: Api;
  claims: Claims;
}

const SECTIONS = ["overview", "transfers", "agents", "templates", "policies", "audit"] as const;
/** Roles required for sections and pages; viewer where none is listed. */
const REQUIRED_ROLES: Readonly<Record<string, Role>> = {
  "transfers/new": "operator",
  "templates/new": "operator",
  policies: "admin",
  audit: "admin",
};

/** Of every page, so that nothing moves from one to the next. */
const MAX_CONTENT_WIDTH_PX = 1440;

const requiredRole = (section: string, page = section) =>
  REQUIRED_ROLES[page] ?? REQUIRED_ROLES[section] ?? "viewer";

/** The signed-in console: navigation, notices and the current page. */
export default function Console({ settings, session, api, claims }: Props) {
  const [notices, setNotices] = useState<FlashbarProps.MessageDefinition[]>([]);
  const notify = useCallback(
    (notice: Notice) => setNotices((all) => withNotice(all, notice, setNotices)),
    [],
  );
  const catchUp = useCatchUp();
  useChangeFeed(api);
  const role = roleOf(claims.groups);
  const context = useMemo<AppContextValue>(
    () => ({ api, settings, session, claims, role, notify }),
    [api, settings, session, claims, role, notify],
  );
  return (
    <AppContext.Provider value={context}>
      <SkipLink />
      <TopBar />
      <Frame notices={catchUp ? [catchUpNotice(catchUp), ...notices] : notices} stage={settings.stage} />
    </AppContext.Provider>
  );
}

/** Return the notice about catching up. It cannot be dismissed, and disappears when it is over. */
function catchUpNotice(catchUp: CatchUp): FlashbarProps.MessageDefinition {
  const labels = t().catchUp;
  const common = { id: "catch-up", ariaRole: "status" } as const;
  if (catchUp.state === "offline")
    return { ...common, type: "warning", header: labels.offline, content: labels.offlineHint };
  const away = duration(catchUp.away);
  return catchUp.state === "refreshing"
    ? {
        ...common,
        type: "info",
        loading: true,
        header: labels.refreshing(away),
        content: labels.refreshingHint,
      }
    : { ...common, type: "success", header: labels.refreshed(away) };
}

function withNotice(
  all: readonly FlashbarProps.MessageDefinition[],
  notice: Notice,
  set: (change: (all: FlashbarProps.MessageDefinition[]) => FlashbarProps.MessageDefinition[]) => void,
): FlashbarProps.MessageDefinition[] {
  const id = `${Date.now()}-${all.length}`;
  const onDismiss = () => set((now) => now.filter((one) => one.id !== id));
  return [{ ...notice, id, dismissible: true, dismissLabel: t().common.dismiss, onDismiss }, ...all].slice(
    0,
    3,
  );
}

function TopBar() {
  const { session, claims, role, notify } = useAppContext();
  return (
    <div id="top">
      <TopNavigation
        identity={{
          href: href("overview"),
          title: "Crosshaul",
          logo: { src: "./favicon.svg", alt: t().nav.logo },
        }}
        utilities={[
          displayMenu(useLanguage().language, (language) => {
            setLanguage(language, true).catch(() =>
              notify({
                type: "warning",
                header: t().nav.languageFailed,
                content: t().nav.languageFailedHint,
              }),
            );
          }),
          {
            type: "menu-dropdown",
            text: safeText(claims.user),
            description: t().nav.roles[role],
            iconName: "user-profile",
            items: [
              { id: "account", text: t().nav.account },
              { id: "sign-out", text: t().nav.signOut },
            ],
            onItemClick: ({ detail }) =>
              detail.id === "account" ? go(href("account")) : session.end("signed-out"),
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
  const [open, setOpen] = useNavigation();
  const route = useRoute();
  const { role } = useAppContext();
  const { page, type, title } = pageOf(route, role);
  const trail = breadcrumbsOf(route, title);
  const section = href(route.path[0] ?? "overview");
  useEffect(() => {
    document.title = `${title} · Crosshaul`;
    window.scrollTo(0, 0);
  }, [title]);
  return (
    <AppLayout
      headerSelector="#top"
      toolsHide
      breadcrumbs={
        trail.length > 1 ? <BreadcrumbGroup items={trail} ariaLabel={t().nav.breadcrumbs} /> : undefined
      }
      ariaLabels={{
        navigation: t().nav.navigation,
        navigationToggle: t().nav.openNavigation,
        navigationClose: t().nav.closeNavigation,
        notifications: t().nav.notifications,
      }}
      contentType={type}
      maxContentWidth={MAX_CONTENT_WIDTH_PX}
      navigation={
        <SideNavigation
          header={{ text: t().nav.stage(stage), href: href("overview") }}
          activeHref={section}
          items={[
            ...SECTIONS.filter((name) => mayAct(role, requiredRole(name))).map((name) => ({
              type: "link" as const,
              text: t().nav[name],
              href: href(name),
            })),
            { type: "divider" },
            { type: "link", text: t().commandLine.title, href: href("command-line") },
          ]}
        />
      }
      navigationOpen={open}
      onNavigationChange={({ detail }) => setOpen(detail.open)}
      navigationWidth={240}
      notifications={
        <div className="banners">
          <Flashbar items={notices} stackItems={notices.length > 2} />
        </div>
      }
      content={
        <Content>
          <ErrorBoundary title={title} place={route.path.join("/")}>
            <Suspense fallback={<Loading what={t().common.page} />}>{page}</Suspense>
          </ErrorBoundary>
        </Content>
      }
    />
  );
}

/** Return the shape of a path: `new` is a verb only at the end, since a template may have that name. */
function shape(item: string | undefined, verb: string | undefined): string {
  if (verb) return `*/${verb}`;
  return item === "new" ? "new" : item ? "*" : "";
}

/** Return the breadcrumbs of a page: its section, then the page. */
function breadcrumbsOf({ path }: Route, title: string): { text: string; href: string }[] {
  const section = SECTIONS.find((name) => name === path[0]);
  if (!section || path.length < 2) return [];
  return [
    { text: t().nav[section], href: href(section) },
    { text: title, href: href(...path) },
  ];
}

/** Return the menu for theme and language. */
function displayMenu(
  language: Language,
  onChoose: (language: Language) => void,
): TopNavigationProps.MenuDropdownUtility {
  const { nav } = t();
  const themes: Theme[] = ["system", "light", "dark"];
  const languages = Object.entries(LANGUAGES) as [Language, string][];
  return {
    type: "menu-dropdown",
    iconName: "settings",
    ariaLabel: nav.display,
    title: nav.display,
    items: [
      {
        text: nav.theme,
        items: themes.map((one) => ({
          id: one,
          text: nav.themes[one],
          itemType: "checkbox",
          checked: currentTheme() === one,
        })),
      },
      {
        text: nav.language,
        items: languages.map(([id, text]) => ({ id, text, itemType: "checkbox", checked: id === language })),
      },
    ],
    onItemClick: ({ detail }) => {
      const chosen = themes.find((one) => one === detail.id);
      if (chosen) chooseTheme(chosen);
      else onChoose(detail.id as Language);
    },
  };
}

interface Page {
  page: ReactNode;
  type: AppLayoutProps.ContentType;
  title: string;
}

function pageOf({ path, query }: Route, role: Role): Page {
  const [section = "overview", item, verb, ...rest] = path;
  const which = `${section}/${shape(item, verb)}`;
  const needed = requiredRole(section, which);
  const forbidden = needed !== "viewer" && !mayAct(role, needed);
  const missing: Page = {
    page: <NotFoundPage needed={forbidden ? needed : "viewer"} />,
    type: "default",
    title: forbidden ? t().notFound.roleRequired[needed] : t().notFound.tab,
  };
  if (rest.length > 0 || forbidden) return missing;
  switch (which) {
    case "overview/":
      return { page: <OverviewPage />, type: "dashboard", title: t().overview.title };
    case "transfers/":
      return { page: <TransfersPage query={query} />, type: "table", title: t().transfers.title };
    case "transfers/new":
      return {
        page: <NewTransferPage key={query.toString()} query={query} />,
        type: "form",
        title: t().newTransfer.title,
      };
    case "transfers/*":
      return {
        page: <TransferPage key={item} transferId={item ?? ""} />,
        type: "default",
        title: t().transfer.tab(item ?? ""),
      };
    case "transfers/*/approval":
      return {
        page: <ApprovalPage key={item} transferId={item ?? ""} />,
        type: "default",
        title: t().approval.page,
      };
    case "agents/":
      return { page: <AgentsPage query={query} />, type: "table", title: t().agents.title };
    case "agents/*":
    case "agents/new":
      return {
        page: <AgentPage key={item} agentId={item ?? ""} />,
        type: "default",
        title: t().agent.tab(item ?? ""),
      };
    case "templates/":
      return { page: <TemplatesPage />, type: "table", title: t().templates.title };
    case "templates/new":
      return {
        page: <TemplateFormPage key={`new ${query}`} like={query.get("like")} />,
        type: "form",
        title: t().templates.new,
      };
    case "templates/*/edit":
      return {
        page: <TemplateFormPage key={item} templateId={item} />,
        type: "form",
        title: t().template.tab(item ?? ""),
      };
    case "policies/":
      return { page: <PoliciesPage />, type: "default", title: t().policies.title };
    case "policies/new":
      return { page: <PolicyPage key="new" />, type: "form", title: t().policies.new };
    case "policies/*/edit":
      return {
        page: <PolicyPage key={item} policyId={item} />,
        type: "form",
        title: t().policy.tab(item ?? ""),
      };
    case "account/":
      return { page: <AccountPage />, type: "form", title: t().account.title };
    case "command-line/":
      return { page: <CommandLinePage />, type: "default", title: t().commandLine.title };
    case "audit/":
      return { page: <AuditPage query={query} />, type: "default", title: t().audit.title };
    default:
      return missing;
  }
}
