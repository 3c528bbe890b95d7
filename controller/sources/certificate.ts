import type { PeerCertificate } from "node:tls";
import { SlipwayError } from "../errors.ts";

interface Fault {
  readonly says: string;
  readonly hint: string;
  /** It may be mended where the server is, without anybody looking here. */
  readonly retryable?: boolean;
}

const UNTRUSTED: Fault = {
  says: "is of an authority that is not trusted here",
  hint: "start slipway with NODE_EXTRA_CA_CERTS, the name of a file with the authority's certificate",
};
const DATES = "its owner has to renew it, unless the clock is wrong here";

/** What OpenSSL finds wrong with a server's certificate, by Node's codes. */
const FAULTS: Readonly<Record<string, Fault>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  // One of the same name is trusted: the authority has another key since.
  CERT_SIGNATURE_FAILURE: UNTRUSTED,
  CERT_HAS_EXPIRED: { says: "has expired", hint: DATES, retryable: true },
  CERT_NOT_YET_VALID: { says: "is not valid yet", hint: DATES, retryable: true },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    says: "is for other hosts",
    hint: "write the url with a host that the certificate names",
  },
};

/** The error that a connection means which failed over the server's certificate; undefined where it did not. */
export function certificateError(url: string, cause: unknown): SlipwayError | undefined {
  const { code = "", cert } = cause as NodeJS.ErrnoException & { cert?: PeerCertificate };
  const fault = FAULTS[code];
  if (!fault) return undefined;
  // A stranger's words.
  const names = cert?.subjectaltname?.replaceAll(/[^\w.:*, -]/g, "").slice(0, 200);
  const named = names === undefined ? "" : ` (${names})`;
  const { host } = new URL(url);
  return new SlipwayError("SourceUntrusted", `the certificate of ${host} ${fault.says}${named}: ${code}`, {
    hint: fault.hint,
    retryable: fault.retryable ?? false,
    cause,
  });
}
