/**
 * Changes of one's own account in Cognito: password and second factor. The command line does the same in
 * `agent/cli/account.py`.
 */
import { ApiProblem } from "../api/problem";
import { t } from "../i18n";
import type { SignIn } from "../types";
import { call, verifySecondFactor } from "./cognito";

/** Return the URI that authenticator apps read from a QR code. */
export function authenticatorUri(key: string, user: string, stage: string): string {
  const issuer = encodeURIComponent(`Crosshaul ${stage}`);
  return `otpauth://totp/${issuer}:${encodeURIComponent(user)}?secret=${key}&issuer=${issuer}`;
}

export async function hasSecondFactor(pool: SignIn, accessToken: string): Promise<boolean> {
  const account = await call(pool, "GetUser", { AccessToken: accessToken });
  return (account.UserMFASettingList ?? []).includes("SOFTWARE_TOKEN_MFA");
}

/** Return the key of a new authenticator, which counts once `finishSecondFactor` has shown its first code. */
export async function beginSecondFactor(pool: SignIn, accessToken: string): Promise<string> {
  const given = await call(pool, "AssociateSoftwareToken", { AccessToken: accessToken });
  return given.SecretCode ?? "";
}

export async function finishSecondFactor(pool: SignIn, accessToken: string, code: string): Promise<void> {
  await verifySecondFactor(pool, { AccessToken: accessToken }, code);
  await prefer(pool, accessToken, true);
}

/** Sign in with the password alone from now on. Throws an ApiProblem if the stage requires a second factor. */
export async function removeSecondFactor(pool: SignIn, accessToken: string): Promise<void> {
  await prefer(pool, accessToken, false);
  if (await hasSecondFactor(pool, accessToken)) {
    const { title, advice } = t().account.required;
    throw new ApiProblem({ title, advice });
  }
}

export async function changePassword(
  pool: SignIn,
  accessToken: string,
  old: string,
  wanted: string,
): Promise<void> {
  const passwords = { PreviousPassword: old, ProposedPassword: wanted };
  await call(pool, "ChangePassword", { AccessToken: accessToken, ...passwords });
}

/** Revoke all refresh tokens of this person, on every device. */
export async function endSessions(pool: SignIn, accessToken: string): Promise<void> {
  await call(pool, "GlobalSignOut", { AccessToken: accessToken });
}

/** Have a code sent by e-mail. Return the address, abbreviated, also if there is no such person. */
export async function sendResetCode(pool: SignIn, username: string): Promise<string> {
  try {
    const sent = await call(pool, "ForgotPassword", { ClientId: pool.client_id, Username: username });
    return sent.CodeDeliveryDetails?.Destination ?? "";
  } catch (error) {
    if (error instanceof ApiProblem && NO_RESET.has(error.code)) {
      const { title, advice } = t().signIn.forgot.refused;
      throw new ApiProblem({ title, advice, status: error.status });
    }
    throw error;
  }
}

/** Errors of ForgotPassword for those who have no verified address, or have never signed in. */
const NO_RESET = new Set(["NotAuthorizedException", "InvalidParameterException"]);

export async function resetPassword(
  pool: SignIn,
  username: string,
  code: string,
  wanted: string,
): Promise<void> {
  const given = { Username: username, ConfirmationCode: code, Password: wanted };
  await call(pool, "ConfirmForgotPassword", { ClientId: pool.client_id, ...given });
}

async function prefer(pool: SignIn, accessToken: string, enabled: boolean): Promise<void> {
  const settings = { Enabled: enabled, PreferredMfa: enabled };
  await call(pool, "SetUserMFAPreference", { AccessToken: accessToken, SoftwareTokenMfaSettings: settings });
}
