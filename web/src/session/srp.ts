/**
 * Proving to Cognito that one knows a password, without sending it: SRP-6a, as Cognito speaks it.
 *
 * The group is RFC 5054's of 3072 bits with the generator 2, the hash SHA-256; how numbers become bytes, and what
 * is signed in the end, is as in Amazon's own clients: https://github.com/aws-amplify/amplify-js. The command line
 * does the same in `agent/cli/srp.py`.
 */

const N = BigInt(
  `0x${[
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD",
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED",
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F",
    "83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B",
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510",
    "15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7",
    "ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C",
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
  ].join("")}`,
);
const G = 2n;
const SECRET_BYTES = 128;
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

type Bytes = Uint8Array<ArrayBuffer>;

/** Parameters of Cognito's PASSWORD_VERIFIER challenge. */
export interface SrpChallenge {
  SALT: string;
  SRP_B: string;
  SECRET_BLOCK: string;
  USER_ID_FOR_SRP: string;
}

/** One sign-in attempt: send `publicKey` to Cognito, then `answer` to its PASSWORD_VERIFIER challenge. */
export class SrpProof {
  readonly #secret: bigint;
  readonly #public: bigint;

  constructor(secret = number(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))) {
    this.#secret = secret;
    this.#public = power(G, secret);
  }

  get publicKey(): string {
    return this.#public.toString(16);
  }

  /** Return the responses to the challenge. Throws RangeError if the challenge is invalid. */
  async answer(poolId: string, challenge: SrpChallenge, password: string, now = new Date()) {
    const server = BigInt(`0x${challenge.SRP_B}`);
    if (server % N === 0n) {
      throw new RangeError("SRP_B is 0");
    }
    const { USER_ID_FOR_SRP: user, SECRET_BLOCK: block } = challenge;
    const pool = poolId.slice(poolId.indexOf("_") + 1);
    const key = await this.#key(server, BigInt(`0x${challenge.SALT}`), `${pool}${user}:${password}`);
    const sentAt = timestamp(now);
    const signature = await mac(key, concat(utf8(`${pool}${user}`), fromBase64(block), utf8(sentAt)));
    return {
      USERNAME: user,
      PASSWORD_CLAIM_SECRET_BLOCK: block,
      PASSWORD_CLAIM_SIGNATURE: toBase64(signature),
      TIMESTAMP: sentAt,
    };
  }

  /** Derive the shared key, which equals Cognito's only if the password is right. */
  async #key(server: bigint, salt: bigint, who: string): Promise<Bytes> {
    const scrambling = await hash(toPaddedBytes(this.#public), toPaddedBytes(server));
    const secret = await hash(toPaddedBytes(salt), await sha256(utf8(who)));
    const base = server - (await hash(toPaddedBytes(N), toPaddedBytes(G))) * power(G, secret);
    const shared = power(base, this.#secret + scrambling * secret);
    const extracted = await mac(toPaddedBytes(scrambling), toPaddedBytes(shared));
    return (await mac(extracted, utf8("Caldera Derived Key\x01"))).slice(0, 16);
  }
}

/** Return `base ** exponent` modulo N. */
function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = ((base % N) + N) % N;
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) {
      result = (result * square) % N;
    }
    square = (square * square) % N;
  }
  return result;
}

/**
 * Return a number as bytes, with a leading zero if the first bit is set, since Cognito's numbers are
 * signed.
 */
function toPaddedBytes(value: bigint): Bytes {
  const digits = value.toString(16);
  const even = digits.length % 2 ? `0${digits}` : digits;
  const signed = /^[89a-f]/.test(even) ? `00${even}` : even;
  return Uint8Array.from(signed.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

function number(bytes: Bytes): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

async function hash(...parts: Bytes[]): Promise<bigint> {
  return number(await sha256(concat(...parts)));
}

async function sha256(data: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

async function mac(key: Bytes, message: Bytes): Promise<Bytes> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

function concat(...parts: Bytes[]): Bytes {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}

function fromBase64(text: string): Bytes {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function toBase64(bytes: Bytes): string {
  return btoa(String.fromCharCode(...bytes));
}

/** Return a time in English, independent of the locale: `Thu Nov 26 09:05:01 UTC 2026`. */
function timestamp(at: Date): string {
  const clock = at.toISOString().slice(11, 19);
  const day = `${DAYS[at.getUTCDay()]} ${MONTHS[at.getUTCMonth()]} ${at.getUTCDate()}`;
  return `${day} ${clock} UTC ${at.getUTCFullYear()}`;
}
