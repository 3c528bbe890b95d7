import type { PeerCertificate } from "node:tls";
import { SlipwayError } from "../errors.ts";
import { certificateFault } from "../kube/certificate.ts";

/** The error that a connection means which failed over the server's certificate; undefined where it did not. */
export function certificateError(url: string, cause: unknown): SlipwayError | undefined {
  const { code = "", cert } = cause as NodeJS.ErrnoException & { cert?: PeerCertificate };
  const fault = certificateFault(code);
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
