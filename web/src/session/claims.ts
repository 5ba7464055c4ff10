/** What a token says about its bearer. Only the API checks its signature; here it decides what is offered. */

export interface Claims {
  /** The `sub`: what the API knows the person by, whatever the address is. */
  id: string;
  /** What is shown. */
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

/** The strongest role among the groups; a person in none of them may look. */
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
