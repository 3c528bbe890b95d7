import { createHmac, timingSafeEqual } from "node:crypto";

/** HMAC-SHA256 in bare hex, as both forges compute it over the raw body. */
export function signBody(body: Uint8Array, secret: string): string {
  return createHmac("sha256", secret).update(body).digest("hex");
}

/**
 * Compares in constant time; the body must be the bytes that came, never re-serialised JSON.
 * @param signature bare hex
 */
export function verifySignature(body: Uint8Array, signature: string, secret: string): boolean {
  // An empty key would let anyone sign.
  if (secret === "" || !/^[0-9a-f]{64}$/i.test(signature)) return false;
  return timingSafeEqual(Buffer.from(signBody(body, secret), "hex"), Buffer.from(signature, "hex"));
}
