import { beforeEach, describe, expect, it, vi } from "vitest";
import { answerChallenge, signIn } from "../src/session/cognito";
import { createSession } from "../src/session/session";
import { idToken } from "./tokens";

const POOL = {
  region: "eu-central-1",
  user_pool_id: "eu-central-1_Pool",
  client_id: "client",
  endpoint: null,
};
const said = vi.fn<(action: string, body: Record<string, unknown>) => [number, unknown]>();

/** Tabs of one browser. */
class Channel {
  static open = new Set<Channel>();
  onmessage: ((event: { data: unknown }) => void) | null = null;
  constructor() {
    Channel.open.add(this);
  }
  postMessage(data: unknown) {
    for (const other of Channel.open) if (other !== this) other.onmessage?.({ data: structuredClone(data) });
  }
}

/** A tab has a sessionStorage of its own. */
function tab() {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  } as Storage;
  return createSession(POOL, storage);
}

beforeEach(() => {
  said.mockReset();
  Channel.open.clear();
  vi.stubGlobal("BroadcastChannel", Channel);
  vi.stubGlobal("fetch", async (address: string, init: RequestInit) => {
    expect(address).toBe("https://cognito-idp.eu-central-1.amazonaws.com/");
    const action = new Headers(init.headers).get("X-Amz-Target")?.split(".")[1] ?? "";
    const [status, body] = said(action, JSON.parse(String(init.body)));
    return new Response(JSON.stringify(body), { status });
  });
});

const granted = (token: string): [number, unknown] => [
  200,
  { AuthenticationResult: { IdToken: token, RefreshToken: "refresh", AccessToken: "access" } },
];

const VERIFIER = { SALT: "0f", SRP_B: "5", SECRET_BLOCK: "YmxvY2s=", USER_ID_FOR_SRP: "uuid" };
const PROVE = { ChallengeName: "PASSWORD_VERIFIER", Session: "p", ChallengeParameters: VERIFIER };

describe("signing in", () => {
  it("gets tokens for an SRP proof, and never sends the password", async () => {
    said.mockReturnValueOnce([200, PROVE]).mockReturnValueOnce(granted("token"));
    expect(await signIn(POOL, "ana", "right")).toEqual({
      tokens: { idToken: "token", refreshToken: "refresh", accessToken: "access" },
    });
    expect(said.mock.calls[1]).toMatchObject([
      "RespondToAuthChallenge",
      { ChallengeName: "PASSWORD_VERIFIER", Session: "p", ChallengeResponses: { USERNAME: "uuid" } },
    ]);
    expect(JSON.stringify(said.mock.calls)).not.toContain("right");
  });

  it("asks for a new password if Cognito requires one", async () => {
    said.mockReturnValueOnce([
      200,
      {
        ChallengeName: "NEW_PASSWORD_REQUIRED",
        Session: "s",
        ChallengeParameters: { USER_ID_FOR_SRP: "uuid" },
      },
    ]);
    const answer = await signIn(POOL, "ana", "temporary");
    if (!("challenge" in answer)) throw new Error("no challenge");
    said.mockReturnValueOnce(granted("token"));
    await answerChallenge(POOL, answer.challenge, "a much longer one");
    expect(said.mock.calls[1]).toEqual([
      "RespondToAuthChallenge",
      {
        ClientId: "client",
        ChallengeName: "NEW_PASSWORD_REQUIRED",
        Session: "s",
        ChallengeResponses: { USERNAME: "uuid", NEW_PASSWORD: "a much longer one" },
      },
    ]);
  });

  it("sets up the second factor that a stage requires", async () => {
    const parameters = { USER_ID_FOR_SRP: "uuid", MFAS_CAN_SETUP: '["SOFTWARE_TOKEN_MFA"]' };
    said
      .mockReturnValueOnce([
        200,
        { ChallengeName: "MFA_SETUP", Session: "s1", ChallengeParameters: parameters },
      ])
      .mockReturnValueOnce([200, { SecretCode: "KEY", Session: "s2" }]);
    const answer = await signIn(POOL, "ana", "right");
    if (!("challenge" in answer)) throw new Error("no challenge");
    expect(answer.challenge).toMatchObject({ name: "MFA_SETUP", key: "KEY" });
    said
      .mockReturnValueOnce([200, { Status: "SUCCESS", Session: "s3" }])
      .mockReturnValueOnce(granted("token"));
    expect(await answerChallenge(POOL, answer.challenge, "123456")).toHaveProperty("tokens");
    expect(said.mock.calls.slice(1)).toMatchObject([
      ["AssociateSoftwareToken", { Session: "s1" }],
      ["VerifySoftwareToken", { Session: "s2", UserCode: "123456" }],
      ["RespondToAuthChallenge", { Session: "s3", ChallengeResponses: { USERNAME: "uuid" } }],
    ]);
  });

  it("explains a refusal", async () => {
    said.mockReturnValue([
      400,
      { __type: "NotAuthorizedException", message: "Incorrect username or password." },
    ]);
    await expect(signIn(POOL, "ana", "wrong")).rejects.toMatchObject({
      detail: "Incorrect username or password.",
      advice: "Check the name and the password.",
    });
  });
});

describe("a session", () => {
  const soon = () => Date.now() / 1000 + 30;

  it("survives a reload, in this tab only", async () => {
    const token = idToken({ groups: ["operator"] });
    createSession(POOL).begin({ idToken: token, refreshToken: "refresh", accessToken: "access" });
    const reloaded = createSession(POOL);
    expect(reloaded.snapshot().claims?.groups).toEqual(["operator"]);
    expect(await reloaded.token()).toBe(token);
    expect(localStorage.length).toBe(0);
    expect(JSON.stringify(sessionStorage)).not.toContain("access");
  });

  it("refreshes once for concurrent callers, and keeps the refresh token", async () => {
    const session = createSession(POOL);
    session.begin({ idToken: idToken({ exp: soon() }), refreshToken: "refresh", accessToken: "access" });
    const fresh = idToken();
    said.mockReturnValue([200, { AuthenticationResult: { IdToken: fresh } }]);
    expect(await Promise.all([session.token(), session.token()])).toEqual([fresh, fresh]);
    expect(said).toHaveBeenCalledTimes(1);
    expect(JSON.parse(sessionStorage.getItem("crosshaul.session") ?? "").refreshToken).toBe("refresh");
  });

  it("ends when the refresh token is refused", async () => {
    const session = createSession(POOL);
    session.begin({ idToken: idToken({ exp: soon() }), refreshToken: "refresh", accessToken: "access" });
    said.mockReturnValue([400, { __type: "NotAuthorizedException", message: "Refresh Token has expired" }]);
    await expect(session.token()).rejects.toMatchObject({ status: 400 });
    expect(session.snapshot()).toEqual({ claims: null, ending: "expired" });
    expect(sessionStorage.length).toBe(0);
  });

  it("survives a temporary failure of the sign-in service", async () => {
    const session = createSession(POOL);
    session.begin({ idToken: idToken({ exp: soon() }), refreshToken: "refresh", accessToken: "access" });
    said.mockReturnValue([503, {}]);
    await expect(session.token()).rejects.toMatchObject({ status: 503 });
    expect(session.snapshot().claims).not.toBeNull();
  });

  it("deletes and revokes the tokens at sign-out", async () => {
    const session = createSession(POOL);
    session.begin({ idToken: idToken(), refreshToken: "refresh", accessToken: "access" });
    said.mockReturnValue([200, {}]);
    session.end("signed-out");
    expect(sessionStorage.length).toBe(0);
    await vi.waitFor(() =>
      expect(said).toHaveBeenCalledWith("RevokeToken", { ClientId: "client", Token: "refresh" }),
    );
  });

  it("ignores invalid data in the storage", () => {
    sessionStorage.setItem("crosshaul.session", '{"idToken": "x"}');
    expect(createSession(POOL).snapshot().claims).toBeNull();
  });
});

describe("several tabs", () => {
  const tokens = (sub: string) => ({
    idToken: idToken({ sub }),
    refreshToken: "refresh",
    accessToken: "access",
  });
  const [ANA, BO] = ["5f2b7a1e-0c4e-4b55-8d3f-2d8d6c1c9f10", "6a3c8b2f-0c4e-4b55-8d3f-2d8d6c1c9f11"];

  beforeEach(() => said.mockReturnValue([200, {}]));

  it("share one sign-in, with the tab that opens later and the one that waits", () => {
    const waits = tab();
    const first = tab();
    first.begin(tokens(ANA));
    const later = tab();
    expect([waits, later].map((one) => one.snapshot().claims?.id)).toEqual([ANA, ANA]);
    expect(localStorage.length).toBe(0);
  });

  it("are signed out together", () => {
    const [first, second] = [tab(), tab()];
    first.begin(tokens(ANA));
    second.end("signed-out");
    expect(first.snapshot()).toEqual({ claims: null, ending: "signed-out" });
    expect(tab().snapshot().claims).toBeNull();
  });

  it("leave another person's tab alone", () => {
    const first = tab();
    first.begin(tokens(ANA));
    const second = tab();
    second.begin(tokens(BO));
    second.end("signed-out");
    expect(first.snapshot().claims?.id).toBe(ANA);
  });

  it("ignore what is not a session", () => {
    const here = tab();
    new Channel().postMessage({ kind: "signed-in", tokens: { idToken: "x" } });
    expect(here.snapshot().claims).toBeNull();
  });
});
