/**
 * The session: tokens in each tab's sessionStorage only, refreshed before they expire. A new tab gets them from
 * the open ones over a BroadcastChannel, which only pages of this origin hear and which keeps nothing: when the
 * last tab is closed, the session is gone.
 */
import { ApiProblem, asProblem } from "../api/problem";
import { t } from "../i18n";
import type { SignIn } from "../types";
import { type Claims, readClaims } from "./claims";
import * as cognito from "./cognito";

const STORAGE_KEY = "crosshaul.session";
const EXPIRY_MARGIN_MS = 60_000;
const CHANNEL = "crosshaul.session";

/** What tabs say to each other. */
type Said =
  | { kind: "who-is-signed-in" }
  | { kind: "signed-in"; tokens: StoredTokens }
  | { kind: "ended"; person: string; ending: Ending };

interface StoredTokens {
  idToken: string;
  refreshToken: string | null;
}

/** `password-changed-here`: the sessions on other devices could not be ended. */
export type Ending = "signed-out" | "expired" | "password-changed" | "password-changed-here";

export interface Snapshot {
  claims: Claims | null;
  /** Why the session ended. */
  ending: Ending | null;
}

export interface Session {
  snapshot(): Snapshot;
  subscribe(listener: () => void): () => void;
  begin(tokens: cognito.Tokens): void;
  /** Return a token that is valid for at least one minute. Throws an ApiProblem. */
  token(): Promise<string>;
  /** Return a new token, after the API refused the old one. */
  freshToken(): Promise<string>;
  end(ending: Ending): void;
}

/** Return whether this tab has stored tokens, which may have expired. */
export function wasSignedIn(storage: Storage = sessionStorage): boolean {
  return storage.getItem(STORAGE_KEY) !== null;
}

export function createSession(pool: SignIn, storage: Storage = sessionStorage): Session {
  const listeners = new Set<() => void>();
  const tabs = new BroadcastChannel(CHANNEL);
  const say = (said: Said) => tabs.postMessage(said);
  let tokens = parse(storage.getItem(STORAGE_KEY));
  let current: Snapshot = { claims: tokens && claimsOf(tokens), ending: null };
  let refreshing: Promise<string> | null = null;

  function store(next: StoredTokens | null, ending: Ending | null): void {
    tokens = next;
    current = { claims: next && claimsOf(next), ending };
    next ? storage.setItem(STORAGE_KEY, JSON.stringify(next)) : storage.removeItem(STORAGE_KEY);
    for (const listener of listeners) listener();
  }

  async function renew(): Promise<string> {
    if (!tokens?.refreshToken) {
      store(null, "expired");
      throw signedOut();
    }
    const before = tokens;
    try {
      const renewed = await cognito.refresh(pool, tokens.refreshToken);
      if (tokens !== before) {
        throw signedOut();
      }
      store({ idToken: renewed.idToken, refreshToken: renewed.refreshToken ?? before.refreshToken }, null);
      return renewed.idToken;
    } catch (error) {
      if (tokens === before && !asProblem(error).transient) store(null, "expired");
      throw error;
    }
  }

  /** Renew the tokens once for all concurrent callers. */
  function freshToken(): Promise<string> {
    refreshing ??= renew().finally(() => {
      refreshing = null;
    });
    return refreshing;
  }

  tabs.onmessage = ({ data: said }: MessageEvent<Said>) => {
    if (said.kind === "who-is-signed-in") {
      if (tokens) say({ kind: "signed-in", tokens });
    } else if (said.kind === "signed-in") {
      // Another person who signs in elsewhere changes nothing in a tab where somebody is at work.
      const theirs = tokens ? null : parse(JSON.stringify(said.tokens));
      if (theirs) store(theirs, null);
    } else if (said.person === current.claims?.id) {
      store(null, said.ending);
    }
  };
  if (!tokens) say({ kind: "who-is-signed-in" });

  return {
    snapshot: () => current,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    begin({ idToken, refreshToken }) {
      const begun = { idToken, refreshToken: refreshToken ?? null };
      store(begun, null);
      say({ kind: "signed-in", tokens: begun });
    },
    async token() {
      if (!tokens || !current.claims) throw signedOut();
      return current.claims.expiresAt - EXPIRY_MARGIN_MS > Date.now() ? tokens.idToken : freshToken();
    },
    freshToken,
    end(ending) {
      const old = tokens?.refreshToken;
      const person = current.claims?.id;
      store(null, ending);
      if (person && ending !== "expired") say({ kind: "ended", person, ending });
      // Revoking the token in Cognito is best effort: this tab has already deleted it.
      if (old && ending !== "expired") cognito.revoke(pool, old).catch(() => undefined);
    },
  };
}

/** Return stored tokens; null if they are not valid. */
function parse(text: string | null): StoredTokens | null {
  try {
    const kept = text ? (JSON.parse(text) as StoredTokens) : null;
    return kept && claimsOf(kept) ? kept : null;
  } catch {
    return null;
  }
}

function claimsOf(kept: StoredTokens): Claims {
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
