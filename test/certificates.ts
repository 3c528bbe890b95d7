import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIPv4 } from "node:net";

/*
 * X.509 certificates (RFC 5280) for tests of servers that show one. Node reads certificates and makes none, and
 * openssl's program is not on every machine.
 */

export interface Issued {
  /** PEM, as `node:tls` takes it. */
  readonly cert: string;
  readonly key: string;
}

export interface Wanted {
  /** Host names and IPv4 addresses that it is good for: this machine's unless given. */
  readonly hosts?: readonly string[];
  /** From now until it ends: one unless given. */
  readonly days?: number;
}

export interface Authority {
  /** PEM of its own certificate: who trusts this trusts what it issues. */
  readonly cert: string;
  issue(wanted?: Wanted): Issued;
}

const DAY_MS = 24 * 3_600_000;
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS);

/** A certificate authority of the test's own, which nobody trusts who was not told to. */
export function certificateAuthority(name: string): Authority {
  const { privateKey, publicKey } = keyPair();
  const certify = (subject: string, key: KeyObject, until: Date, extensions: readonly Uint8Array[]) =>
    certificate(privateKey, { issuer: name, subject, key, until, extensions });
  return {
    cert: certify(name, publicKey, inDays(1), [IS_AUTHORITY]),
    issue({ hosts = ["127.0.0.1"], days = 1 } = {}) {
      const own = keyPair();
      return {
        cert: certify("slipway test server", own.publicKey, inDays(days), [namesOf(hosts)]),
        key: own.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
      };
    },
  };
}

const keyPair = () => generateKeyPairSync("ec", { namedCurve: "P-256" });

interface Content {
  readonly issuer: string;
  readonly subject: string;
  readonly key: KeyObject;
  readonly until: Date;
  readonly extensions: readonly Uint8Array[];
}

function certificate(signer: KeyObject, { issuer, subject, key, until, extensions }: Content): string {
  const content = sequence(
    tagged(0xa0, INTEGER("02")),
    INTEGER(`01${randomBytes(8).toString("hex")}`),
    ECDSA_WITH_SHA256,
    nameOf(issuer),
    sequence(time(inDays(-30)), time(until)),
    nameOf(subject),
    key.export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...extensions)),
  );
  const signature = tagged(0x03, Buffer.of(0), sign("sha256", content, signer));
  const base64 = sequence(content, ECDSA_WITH_SHA256, signature).toString("base64");
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

/** A value as DER has it: tag, length, content. */
function tagged(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => tagged(0x30, ...parts);
const hex = (tag: number) => (text: string) => tagged(tag, Buffer.from(text, "hex"));
const INTEGER = hex(0x02);
const IDENTIFIER = hex(0x06);
const octets = (...parts: readonly Uint8Array[]) => tagged(0x04, ...parts);
const TRUE = Buffer.of(0x01, 0x01, 0xff);

const ECDSA_WITH_SHA256 = sequence(IDENTIFIER("2a8648ce3d040302"));
/** basicConstraints, critical. */
const IS_AUTHORITY = sequence(IDENTIFIER("551d13"), TRUE, octets(sequence(TRUE)));

const nameOf = (commonName: string) =>
  sequence(tagged(0x31, sequence(IDENTIFIER("550403"), tagged(0x0c, Buffer.from(commonName)))));

const time = (at: Date) => tagged(0x17, Buffer.from(`${at.toISOString().replace(/\D/g, "").slice(2, 14)}Z`));

/** subjectAltName. */
function namesOf(hosts: readonly string[]): Buffer {
  const names = hosts.map((host) =>
    isIPv4(host) ? tagged(0x87, Buffer.from(host.split(".").map(Number))) : tagged(0x82, Buffer.from(host)),
  );
  return sequence(IDENTIFIER("551d11"), octets(sequence(...names)));
}
