/** What every page has at hand: the API, who is signed in, and where to say that something was done. */
import { createContext, useContext } from "react";
import type { Api } from "./api/client";
import type { Settings } from "./config";
import type { Claims, Role } from "./session/claims";
import type { Session } from "./session/session";

export interface Notice {
  type: "success" | "error" | "warning";
  header: string;
  content?: string;
}

export interface Surroundings {
  api: Api;
  settings: Settings;
  session: Session;
  claims: Claims;
  role: Role;
  notify(notice: Notice): void;
}

export const SurroundingsContext = createContext<Surroundings | null>(null);

export function useSurroundings(): Surroundings {
  const here = useContext(SurroundingsContext);
  if (!here) throw new Error("outside of the signed-in part of the page");
  return here;
}

export function useApi(): Api {
  return useSurroundings().api;
}
