import { open, stat } from "node:fs/promises";
import { CONTROLLER_ACCOUNT, SYSTEM_NAMESPACE } from "../../controller/install/rbac.ts";
import { required } from "./env.ts";

/** What the API server notes of one request (`audit.k8s.io/v1` Event), as far as tests read it. */
export interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly impersonatedUser?: { readonly username: string };
  readonly objectRef?: {
    readonly resource: string;
    readonly subresource?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code: number };
}

/** The user that {@link writeControllerKubeconfig} gives the controller. */
const CONTROLLER_USER = `system:serviceaccount:${SYSTEM_NAMESPACE}:${CONTROLLER_ACCOUNT}`;

/** The API server's own record of requests, read from where it was when opened or marked last. */
export class AuditLog {
  readonly #path: string;
  #offset = 0;

  /** From its beginning on; of the tests' own cluster unless another's file is given. */
  constructor(path = required("SLIPWAY_TEST_AUDIT_LOG")) {
    this.#path = path;
  }

  static async atEnd(): Promise<AuditLog> {
    const log = new AuditLog();
    await log.mark();
    return log;
  }

  /** Forgets what was requested so far. */
  async mark(): Promise<void> {
    this.#offset = (await stat(this.#path)).size;
  }

  /**
   * What the controller has asked for since the mark, in its own name or in a tenant's, beyond watches and Leases.
   * Sorted lines such as `patch prompttemplates/a (dry run) as team`, `patch repositories/b/status`.
   */
  async ofController(): Promise<string[]> {
    return (await this.events())
      .filter(({ user }) => user.username === CONTROLLER_USER)
      .filter(({ verb, objectRef }) => verb !== "watch" && objectRef?.resource !== "leases")
      .map(lineOf)
      .sort();
  }

  async events(): Promise<AuditEvent[]> {
    await using file = await open(this.#path);
    const { size } = await file.stat();
    if (size < this.#offset) throw new Error("the audit log was rotated under the test");
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(size - this.#offset),
      position: this.#offset,
    });
    const text = buffer.toString("utf8", 0, bytesRead);
    // What comes after the last line break is still being written.
    return text
      .slice(0, text.lastIndexOf("\n") + 1)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as AuditEvent);
  }
}

function lineOf({ verb, requestURI, impersonatedUser, objectRef, responseStatus }: AuditEvent): string {
  const { resource = requestURI, name, subresource } = objectRef ?? {};
  const what = [resource, resource === "events" ? undefined : name, subresource].filter(Boolean).join("/");
  const dryRun = requestURI.includes("dryRun=All") ? " (dry run)" : "";
  const as = impersonatedUser ? ` as ${impersonatedUser.username.split(":").at(-1)}` : "";
  const code = responseStatus?.code ?? 0;
  return `${verb} ${what}${dryRun}${as}${code < 300 ? "" : ` -> ${code}`}`;
}
