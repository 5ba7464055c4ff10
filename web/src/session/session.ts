/** Who is signed in: tokens in this tab's sessionStorage, refreshed before they expire, never elsewhere. */
import { ApiProblem, asProblem } from "../api/problem";
import { t } from "../i18n";
import type { SignIn } from "../types";
import { type Claims, readClaims } from "./claims";
import * as cognito from "./cognito";

const STORED = "crosshaul.session";
const EXPIRY_MARGIN_MS = 60_000;

interface Kept {
  idToken: string;
  refreshToken: string | null;
}

export type Ending = "signed-out" | "expired";

export interface Snapshot {
  claims: Claims | null;
  /** Why there is no session any more. */
  ending: Ending | null;
}

export interface Session {
  snapshot(): Snapshot;
  subscribe(listener: () => void): () => void;
  begin(tokens: cognito.Tokens): void;
  /** A token that is good for at least the next minute. Throws an ApiProblem. */
  token(): Promise<string>;
  /** A new token whatever the old one says: it was refused. */
  freshToken(): Promise<string>;
  end(ending: Ending): void;
}

/** Does this tab keep somebody's tokens? They may have expired. */
export function wasSignedIn(storage: Storage = sessionStorage): boolean {
  return storage.getItem(STORED) !== null;
}

export function createSession(pool: SignIn, storage: Storage = sessionStorage): Session {
  const listeners = new Set<() => void>();
  let kept = restore(storage);
  let shown: Snapshot = { claims: kept && claimsOf(kept), ending: null };
  let refreshing: Promise<string> | null = null;

  function keep(next: Kept | null, ending: Ending | null): void {
    kept = next;
    shown = { claims: next && claimsOf(next), ending };
    next ? storage.setItem(STORED, JSON.stringify(next)) : storage.removeItem(STORED);
    for (const listener of listeners) listener();
  }

  async function renew(): Promise<string> {
    if (!kept?.refreshToken) {
      keep(null, "expired");
      throw signedOut();
    }
    const before = kept;
    try {
      const tokens = await cognito.refresh(pool, kept.refreshToken);
      if (kept !== before) {
        throw signedOut();
      }
      keep({ idToken: tokens.idToken, refreshToken: tokens.refreshToken ?? before.refreshToken }, null);
      return tokens.idToken;
    } catch (error) {
      if (kept === before && !asProblem(error).passing) keep(null, "expired");
      throw error;
    }
  }

  /** Everyone who needs a new token at the same moment waits for the same one. */
  function freshToken(): Promise<string> {
    refreshing ??= renew().finally(() => {
      refreshing = null;
    });
    return refreshing;
  }

  return {
    snapshot: () => shown,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    begin: (tokens) => keep({ idToken: tokens.idToken, refreshToken: tokens.refreshToken ?? null }, null),
    async token() {
      if (!kept || !shown.claims) throw signedOut();
      return shown.claims.expiresAt - EXPIRY_MARGIN_MS > Date.now() ? kept.idToken : freshToken();
    },
    freshToken,
    end(ending) {
      const old = kept?.refreshToken;
      keep(null, ending);
      // The tab forgets the token in any case; that Cognito does too is best effort.
      if (old && ending === "signed-out") cognito.revoke(pool, old).catch(() => undefined);
    },
  };
}

function restore(storage: Storage): Kept | null {
  const text = storage.getItem(STORED);
  try {
    const kept = text ? (JSON.parse(text) as Kept) : null;
    return kept && claimsOf(kept) ? kept : null;
  } catch {
    return null;
  }
}

function claimsOf(kept: Kept): Claims {
  return readClaims(kept.idToken);
}

function signedOut(): ApiProblem {
  return new ApiProblem({
    status: 401,
    title: t().problems.notSignedIn,
    detail: t().problems.sessionEnded,
    advice: t().problems.signInAgain,
  });
}
