/** Claims of an ID token. The API verifies its signature; the console only decides what to show. */

export interface Claims {
  /** The `sub` claim: the permanent ID of the person in the API. */
  id: string;
  /** Name for display. */
  user: string;
  groups: string[];
  /** Milliseconds since 1970. */
  expiresAt: number;
}

export type Role = "viewer" | "operator" | "admin";

const RANK: Role[] = ["viewer", "operator", "admin"];

export function readClaims(idToken: string): Claims {
  const body = JSON.parse(fromBase64Url(idToken.split(".")[1] ?? "")) as Record<string, unknown>;
  const groups = body["cognito:groups"];
  return {
    id: String(body.sub ?? ""),
    user: String(body.email ?? body["cognito:username"] ?? body.sub ?? ""),
    groups: Array.isArray(groups) ? groups.map(String) : [],
    expiresAt: Number(body.exp ?? 0) * 1000,
  };
}

/** Return the highest role among the groups; without any, viewer. */
export function roleOf(groups: string[]): Role {
  return RANK.findLast((role) => groups.includes(role)) ?? "viewer";
}

export function mayAct(role: Role, needed: Role): boolean {
  return RANK.indexOf(role) >= RANK.indexOf(needed);
}

function fromBase64Url(text: string): string {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(binary, (letter) => letter.charCodeAt(0)));
}
