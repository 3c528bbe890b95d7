import { createHmac, timingSafeEqual } from "node:crypto";
import * as z from "zod";
import { canonicalJson } from "../graph/canonical.ts";

const claimsSchema = z.strictObject({
  object: z.strictObject({ kind: z.string(), namespace: z.string(), name: z.string() }),
  uid: z.string().min(1),
  /** Digest of what the work is made from; reports are filed under it. */
  input: z.string().min(1),
  /** Digests of blobs that may be read; one that is an artifact's manifest opens its files too. */
  read: z.array(z.string()).max(100),
  /** The suite that answers are graded with, as it was laid out; without it none are graded. */
  grade: z.string().optional(),
  /** Whether artifacts may be stored and reports sent. */
  write: z.boolean(),
});

/** What the bearer of a token may do. */
export type WorkClaims = z.infer<typeof claimsSchema>;

/**
 * Tokens for pods: claims and an HMAC-SHA256 over them. They do not expire by time, because a serving pod may
 * restart after months; they end with the object (its uid) that they were made for.
 */
export class WorkTokens {
  readonly #key: Uint8Array;

  /** @param key at least 32 random bytes, kept in the state folder */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  issue(claims: WorkClaims): string {
    const body = Buffer.from(canonicalJson(claims)).toString("base64url");
    return `${body}.${this.#sign(body).toString("base64url")}`;
  }

  /** The claims of a token that we made, or undefined. */
  verify(token: string): WorkClaims | undefined {
    const [body = "", signature = "", ...rest] = token.split(".");
    if (rest.length > 0) return undefined;
    const given = Buffer.from(signature, "base64url");
    const expected = this.#sign(body);
    if (given.byteLength !== expected.byteLength || !timingSafeEqual(given, expected)) return undefined;
    return claimsSchema.parse(JSON.parse(Buffer.from(body, "base64url").toString("utf8")));
  }

  #sign(body: string): Buffer {
    return createHmac("sha256", this.#key).update(body).digest();
  }
}
