import { expect, it } from "vitest";
import { SrpProof } from "../src/session/srp";

/** A challenge and the accepted answer, computed independently by the formulas of RFC 5054. */
const ASKED = {
  SALT: "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
  SRP_B: [
    "afa1e3c87342f28406ab6392d5f354a8c2ab1853c030b837a86374b821326da4eaf302b9b26c50d2988934a0a8a1a7b1",
    "c817cf2b4179db01e9aed3d6aa36bdc811e6d8c87ea58bb1161b81bbab66a9a29cddc65c84f6e87149449f3733cc2688",
    "5594f85ffdfb5d0fd492f4b29031f3702bd3641739638c3c06e315f8a823539f32d7988fbe7a63d4e4c32df243bb1633",
    "6a3dfe2ff14eb35bc27a8fbfea073adb131055e20c2cd2e186b808b53515fb49edd238fead5875a6531c79ccca13b106",
    "231afa5494f075e07fc928ba27e9ed1f94b2bd7de3c67fa5b60a83096e6986cc80d23ebacf577ef07e0a1be1580db11a",
    "89afc5bdc933a66823af5af589bf5293f66b6292f8f08293edbd721e54a651e5ffd9c39a154e1b52f650c779804bb48b",
    "7885fb8199218cc53dddfbf6a2e80fad9c6862492eb5fb4fba79e1295aa639ec1bf76541825ac6f902757481e0f74082",
    "8bc0c723bbce80e46bba0cfd6324468ee1382b3d5dca6440ce0e1a473ce4318fd09f8c5229289af7347ffe69cd9418ca",
  ].join(""),
  SECRET_BLOCK: "n1uLe+yPtXy/J6SGhenNU5lqo1F0OseSCcUaTYXU5kiG/nwyvtrmiPE/suJ4lPfbRpE4PA1d/8bU06wgcwU0lg==",
  USER_ID_FOR_SRP: "ana",
};
const SECRET = 0x1234567890abcdefn ** 8n;
const AT = new Date("2026-11-06T09:05:01Z");
const POOL = "eu-central-1_Pool";

it("computes the expected proof of a password", async () => {
  const answer = await new SrpProof(SECRET).answer(POOL, ASKED, "pässword", AT);
  expect(answer).toEqual({
    USERNAME: "ana",
    PASSWORD_CLAIM_SECRET_BLOCK: ASKED.SECRET_BLOCK,
    PASSWORD_CLAIM_SIGNATURE: "HRTqzoqBPU9zQvn3uX/puXIU1h72FjMDg4Uhb5P1zf4=",
    TIMESTAMP: "Fri Nov 6 09:05:01 UTC 2026",
  });
});

it("computes another proof for another password", async () => {
  const right = await new SrpProof(SECRET).answer(POOL, ASKED, "pässword", AT);
  const wrong = await new SrpProof(SECRET).answer(POOL, ASKED, "password", AT);
  expect(wrong.PASSWORD_CLAIM_SIGNATURE).not.toBe(right.PASSWORD_CLAIM_SIGNATURE);
});

it("uses a new secret each time", () => {
  expect(new SrpProof().publicKey).not.toBe(new SrpProof().publicKey);
});

it("rejects a challenge that makes the key predictable", async () => {
  await expect(new SrpProof().answer(POOL, { ...ASKED, SRP_B: "0" }, "pässword")).rejects.toThrow(RangeError);
});
