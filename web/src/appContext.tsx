/** Context of every signed-in page: the API client, the person, and a way to show notices. */
import { createContext, useContext } from "react";
import type { Api } from "./api/client";
import type { Settings } from "./config";
import type { Notice } from "./format/problems";
import type { Claims, Role } from "./session/claims";
import type { Session } from "./session/session";

export interface AppContextValue {
  api: Api;
  settings: Settings;
  session: Session;
  claims: Claims;
  role: Role;
  notify(notice: Notice): void;
}

export const AppContext = createContext<AppContextValue | null>(null);

export function useAppContext(): AppContextValue {
  const context = useContext(AppContext);
  if (!context) throw new Error("outside of the signed-in part of the page");
  return context;
}

export function useApi(): Api {
  return useAppContext().api;
}
