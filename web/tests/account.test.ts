import { beforeEach, describe, expect, it, vi } from "vitest";
import { authenticatorUri, removeSecondFactor, sendResetCode } from "../src/session/account";

const POOL = {
  region: "eu-central-1",
  user_pool_id: "eu-central-1_Pool",
  client_id: "client",
  endpoint: null,
};
const said = vi.fn<(action: string) => [number, unknown]>();

beforeEach(() => {
  said.mockReset();
  vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
    const [status, body] = said(new Headers(init.headers).get("X-Amz-Target")?.split(".")[1] ?? "");
    return new Response(JSON.stringify(body), { status });
  });
});

describe("one's own account", () => {
  it("is named as in the command line's URI for authenticator apps", () => {
    expect(authenticatorUri("JBSWY3DP", "ana+x@example.org", "prod")).toBe(
      "otpauth://totp/Crosshaul%20prod:ana%2Bx%40example.org?secret=JBSWY3DP&issuer=Crosshaul%20prod",
    );
  });

  it("keeps a second factor that the stage requires, and says so", async () => {
    said.mockImplementation((action) =>
      action === "GetUser" ? [200, { UserMFASettingList: ["SOFTWARE_TOKEN_MFA"] }] : [200, {}],
    );
    await expect(removeSecondFactor(POOL, "access")).rejects.toThrow("requires a second factor");
  });

  it("tells who has never signed in to be invited again", async () => {
    said.mockReturnValue([400, { __type: "NotAuthorizedException", message: "not in the current state" }]);
    await expect(sendResetCode(POOL, "ana")).rejects.toMatchObject({
      title: "This password cannot be reset",
      detail: "",
    });
  });

  it("says which limit was reached", async () => {
    said.mockReturnValue([400, { __type: "LimitExceededException", message: "Attempt limit exceeded" }]);
    await expect(sendResetCode(POOL, "ana")).rejects.toMatchObject({ advice: "Wait an hour and try again." });
  });
});
