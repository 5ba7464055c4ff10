/** Client of Cognito's JSON API: sign in, answer a challenge, refresh, revoke. The account's own: `account.ts`. */
import { ApiProblem, unansweredProblem } from "../api/problem";
import { t } from "../i18n";
import type { SignIn } from "../types";
import { type SrpChallenge, SrpProof } from "./srp";

export interface Tokens {
  idToken: string;
  /** Missing when a refresh keeps the old one. */
  refreshToken?: string;
  /** Changes one's own account in Cognito; never stored. */
  accessToken: string;
}

export type ChallengeName = "NEW_PASSWORD_REQUIRED" | "SOFTWARE_TOKEN_MFA" | "MFA_SETUP";

export interface Challenge {
  name: ChallengeName;
  session: string;
  username: string;
  /** Of MFA_SETUP: the key for the authenticator app, in base32. */
  key?: string;
}

export type Answer = { tokens: Tokens } | { challenge: Challenge };

export interface CognitoAnswer {
  AuthenticationResult?: { IdToken?: string; RefreshToken?: string; AccessToken?: string };
  ChallengeName?: string;
  ChallengeParameters?: Record<string, string>;
  Session?: string;
  SecretCode?: string;
  Status?: string;
  UserMFASettingList?: string[];
  CodeDeliveryDetails?: { Destination?: string };
}

const REQUEST_TIMEOUT_MS = 15_000;

const CHALLENGE_FIELD = {
  NEW_PASSWORD_REQUIRED: "NEW_PASSWORD",
  SOFTWARE_TOKEN_MFA: "SOFTWARE_TOKEN_MFA_CODE",
} as const;

const problems = (): Record<string, { title: string; advice: string }> => ({
  NotAuthorizedException: { title: t().problems.notSignedIn, advice: t().problems.checkPassword },
  UserNotFoundException: { title: t().problems.notSignedIn, advice: t().problems.checkPassword },
  InvalidPasswordException: { title: t().problems.weakPassword, advice: t().problems.chooseLonger },
  CodeMismatchException: { title: t().problems.wrongCode, advice: t().problems.enterCurrentCode },
  EnableSoftwareTokenMFAException: { title: t().problems.wrongCode, advice: t().problems.enterCurrentCode },
  ExpiredCodeException: { title: t().problems.expiredCode, advice: t().problems.enterNextCode },
  PasswordResetRequiredException: {
    title: t().problems.resetRequired,
    advice: t().problems.resetIt,
  },
  LimitExceededException: { title: t().problems.tooManyAttempts, advice: t().problems.waitHour },
  TooManyFailedAttemptsException: { title: t().problems.tooManyAttempts, advice: t().problems.waitHour },
  CodeDeliveryFailureException: { title: t().problems.codeNotSent, advice: t().problems.askAdmin },
  TooManyRequestsException: { title: t().problems.tooManyAttempts, advice: t().problems.waitMinute },
});

/** Sign in with SRP: the password itself is not sent. */
export async function signIn(pool: SignIn, username: string, password: string): Promise<Answer> {
  const proof = new SrpProof();
  const started = await initiate(pool, "USER_SRP_AUTH", { USERNAME: username, SRP_A: proof.publicKey });
  if (started.ChallengeName !== "PASSWORD_VERIFIER") {
    return toAnswer(pool, username, started);
  }
  const verifier = started.ChallengeParameters as unknown as SrpChallenge;
  const given = await proof.answer(pool.user_pool_id, verifier, password);
  return toAnswer(pool, username, await respond(pool, started.ChallengeName, started.Session, given));
}

/** Answer a challenge with the new password or the code. */
export async function answerChallenge(pool: SignIn, challenge: Challenge, value: string): Promise<Answer> {
  const { name, username, session } = challenge;
  if (name === "MFA_SETUP") {
    const verified = await verifySecondFactor(pool, { Session: session }, value);
    return toAnswer(pool, username, await respond(pool, name, verified.Session, { USERNAME: username }));
  }
  const given = { USERNAME: username, [CHALLENGE_FIELD[name]]: value };
  return toAnswer(pool, username, await respond(pool, name, session, given));
}

/** Show Cognito the first code of a new authenticator. */
export async function verifySecondFactor(
  pool: SignIn,
  access: { Session: string } | { AccessToken: string },
  code: string,
): Promise<CognitoAnswer> {
  const answer = await call(pool, "VerifySoftwareToken", { ...access, UserCode: code });
  if (answer.Status !== "SUCCESS") throw problemFrom(400, { __type: "EnableSoftwareTokenMFAException" });
  return answer;
}

export async function refresh(pool: SignIn, refreshToken: string): Promise<Tokens> {
  const refreshed = await initiate(pool, "REFRESH_TOKEN_AUTH", { REFRESH_TOKEN: refreshToken });
  const answer = await toAnswer(pool, "", refreshed);
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

async function toAnswer(pool: SignIn, username: string, response: CognitoAnswer): Promise<Answer> {
  const result = response.AuthenticationResult;
  if (result?.IdToken) {
    const { IdToken: idToken, RefreshToken: refreshToken, AccessToken: accessToken = "" } = result;
    return { tokens: { idToken, refreshToken, accessToken } };
  }
  const { ChallengeName: name, Session: session } = response;
  const known = response.ChallengeParameters?.USER_ID_FOR_SRP ?? username;
  if ((name === "NEW_PASSWORD_REQUIRED" || name === "SOFTWARE_TOKEN_MFA") && session !== undefined) {
    return { challenge: { name, session, username: known } };
  }
  if (name === "MFA_SETUP") {
    const given = await call(pool, "AssociateSoftwareToken", { Session: session });
    return { challenge: { name, session: given.Session ?? "", username: known, key: given.SecretCode } };
  }
  throw new ApiProblem({
    title: t().problems.cannotFinish,
    detail: t().problems.asksForChallenge(name ?? t().problems.unknownChallenge),
    advice: t().problems.askAdmin,
  });
}

/** Call Cognito. Throws an ApiProblem whose code is the type of Cognito's error. */
export async function call(pool: SignIn, action: string, body: unknown): Promise<CognitoAnswer> {
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
  return new ApiProblem({ ...known, type, status, detail: response.message ?? "" });
}
