interface Given {
  sub?: string;
  email?: string;
  groups?: string[];
  exp?: number;
}

/** Return a token as Cognito issues it, with an invalid signature, which only the API verifies. */
export function idToken({
  sub = "5f2b7a1e-0c4e-4b55-8d3f-2d8d6c1c9f10",
  email = "ana@example.org",
  groups = [],
  exp = Date.now() / 1000 + 3600,
}: Given = {}): string {
  const body = JSON.stringify({ sub, email, "cognito:groups": groups, exp });
  return `e30.${Buffer.from(body).toString("base64url")}.c2ln`;
}
