export interface CertificateFault {
  /** Of the certificate. */
  readonly says: string;
  readonly hint: string;
  /** It may be mended where the server is, without anybody looking here. */
  readonly retryable?: boolean;
}

const UNTRUSTED: CertificateFault = {
  says: "is of an authority that is not trusted here",
  hint: "start slipway with NODE_EXTRA_CA_CERTS, the name of a file with the authority's certificate",
};
const DATES = "its owner has to renew it, unless the clock is wrong here";

/** What OpenSSL finds wrong with a server's certificate, by Node's codes. */
const FAULTS: Readonly<Record<string, CertificateFault>> = {
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

/** What a failed connection's code says of the server's certificate; undefined where that is not why it failed. */
export function certificateFault(code: string | undefined): CertificateFault | undefined {
  return code !== undefined && Object.hasOwn(FAULTS, code) ? FAULTS[code] : undefined;
}
