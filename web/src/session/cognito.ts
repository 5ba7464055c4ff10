/** Client of Cognito's JSON API: sign in, answer a challenge, refresh, revoke. */
import { ApiProblem, unansweredProblem } from "../api/problem";
import { t } from "../i18n";
import type { SignIn } from "../types";
import { type SrpChallenge, SrpProof } from "./srp";

export interface Tokens {
  idToken: string;
  /** Missing when a refresh keeps the old one. */
  refreshToken?: string;
}

export type ChallengeName = "NEW_PASSWORD_REQUIRED" | "SOFTWARE_TOKEN_MFA";

export interface Challenge {
  name: ChallengeName;
  session: string;
  username: string;
}

export type Answer = { tokens: Tokens } | { challenge: Challenge };

interface CognitoAnswer {
  AuthenticationResult?: { IdToken?: string; RefreshToken?: string };
  ChallengeName?: string;
  ChallengeParameters?: Record<string, string>;
  Session?: string;
}

const REQUEST_TIMEOUT_MS = 15_000;

const CHALLENGE_FIELD: Record<ChallengeName, string> = {
  NEW_PASSWORD_REQUIRED: "NEW_PASSWORD",
  SOFTWARE_TOKEN_MFA: "SOFTWARE_TOKEN_MFA_CODE",
};

const problems = (): Record<string, { title: string; advice: string }> => ({
  NotAuthorizedException: { title: t().problems.notSignedIn, advice: t().problems.checkPassword },
  UserNotFoundException: { title: t().problems.notSignedIn, advice: t().problems.checkPassword },
  InvalidPasswordException: { title: t().problems.weakPassword, advice: t().problems.chooseLonger },
  CodeMismatchException: { title: t().problems.wrongCode, advice: t().problems.enterCurrentCode },
  PasswordResetRequiredException: {
    title: t().problems.resetRequired,
    advice: t().problems.askForReset,
  },
  TooManyRequestsException: { title: t().problems.tooManyAttempts, advice: t().problems.waitMinute },
});

/** Sign in with SRP: the password itself is not sent. */
export async function signIn(pool: SignIn, username: string, password: string): Promise<Answer> {
  const proof = new SrpProof();
  const started = await initiate(pool, "USER_SRP_AUTH", { USERNAME: username, SRP_A: proof.publicKey });
  if (started.ChallengeName !== "PASSWORD_VERIFIER") {
    return toAnswer(username, started);
  }
  const verifier = started.ChallengeParameters as unknown as SrpChallenge;
  const given = await proof.answer(pool.user_pool_id, verifier, password);
  return toAnswer(username, await respond(pool, started.ChallengeName, started.Session, given));
}

/** Answer a challenge with the new password or the code. */
export async function answerChallenge(pool: SignIn, challenge: Challenge, value: string): Promise<Answer> {
  const given = { USERNAME: challenge.username, [CHALLENGE_FIELD[challenge.name]]: value };
  return toAnswer(challenge.username, await respond(pool, challenge.name, challenge.session, given));
}

export async function refresh(pool: SignIn, refreshToken: string): Promise<Tokens> {
  const answer = toAnswer("", await initiate(pool, "REFRESH_TOKEN_AUTH", { REFRESH_TOKEN: refreshToken }));
  if ("challenge" in answer) {
    throw new ApiProblem({ title: t().problems.signInAgainTitle, detail: t().problems.moreThanToken });
  }
  return answer.tokens;
}

export async function revoke(pool: SignIn, refreshToken: string): Promise<void> {
  await call(pool, "RevokeToken", { ClientId: pool.client_id, Token: refreshToken });
}

function initiate(pool: SignIn, flow: string, parameters: Record<string, string>): Promise<CognitoAnswer> {
  return call(pool, "InitiateAuth", { ClientId: pool.client_id, AuthFlow: flow, AuthParameters: parameters });
}

function respond(
  pool: SignIn,
  challenge: string,
  session: string | undefined,
  given: Record<string, string>,
): Promise<CognitoAnswer> {
  return call(pool, "RespondToAuthChallenge", {
    ClientId: pool.client_id,
    ChallengeName: challenge,
    Session: session,
    ChallengeResponses: given,
  });
}

function toAnswer(username: string, response: CognitoAnswer): Answer {
  const result = response.AuthenticationResult;
  if (result?.IdToken) {
    return { tokens: { idToken: result.IdToken, refreshToken: result.RefreshToken } };
  }
  const name = response.ChallengeName;
  if ((name === "NEW_PASSWORD_REQUIRED" || name === "SOFTWARE_TOKEN_MFA") && response.Session !== undefined) {
    const known = response.ChallengeParameters?.USER_ID_FOR_SRP ?? username;
    return { challenge: { name, session: response.Session, username: known } };
  }
  throw new ApiProblem({
    title: t().problems.cannotFinish,
    detail: t().problems.asksForChallenge(name ?? t().problems.unknownChallenge),
    advice: t().problems.askAdmin,
  });
}

async function call(pool: SignIn, action: string, body: unknown): Promise<CognitoAnswer> {
  const address = pool.endpoint || `https://cognito-idp.${pool.region}.amazonaws.com/`;
  const response = await fetch(address, {
    method: "POST",
    credentials: "omit",
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": `AWSCognitoIdentityProviderService.${action}`,
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  }).catch((error: unknown) => {
    throw unansweredProblem(error, t().problems.signInService, t().problems.tryAgain);
  });
  const said = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw problemFrom(response.status, said);
  }
  return said;
}

function problemFrom(status: number, response: { __type?: string; message?: string }): ApiProblem {
  const type = (response.__type ?? "").split("#").pop() ?? "";
  const known = problems()[type] ?? { title: t().problems.notSignedIn, advice: t().problems.tryAgain };
  return new ApiProblem({ ...known, status, detail: response.message ?? type });
}
