import { createHash } from "node:crypto";
import { join } from "node:path";
import { ANNOTATION_ALLOWED_HOSTS } from "../../schemas/kind.ts";
import type { Repository } from "../../schemas/repository.ts";
import { SlipwayError } from "../errors.ts";
import { hostAllowed } from "../kube/allowed-hosts.ts";
import type { SecretReader } from "../kube/secrets.ts";
import { type GitCredentials, GitMirror, removeLeftovers } from "./git.ts";
import { loadSnapshot, type Snapshot } from "./snapshot.ts";

const KEPT_SNAPSHOTS = 16;
/** Bytes of case files in the snapshots that are kept, the last one apart. */
const KEPT_BYTES = 128 << 20;

/** The mirrors of all repositories, and the snapshots that were read from them last. */
export class RepositorySources {
  readonly #folder: string;
  readonly #secrets: SecretReader;
  readonly #snapshots = new Map<string, Promise<Snapshot>>();
  readonly #bytes = new Map<string, number>();
  readonly #ready = new Map<string, Promise<unknown>>();
  readonly #fetching = new Map<string, Promise<unknown>>();

  constructor(folder: string, secrets: SecretReader) {
    this.#folder = folder;
    this.#secrets = secrets;
  }

  /** The mirror of a repository, with the credentials of its tenant. */
  async mirror(repository: Repository): Promise<GitMirror> {
    const { url } = repository.spec;
    const name = createHash("sha256").update(`${repository.metadata.uid} ${url}`).digest("hex").slice(0, 24);
    const dir = join(this.#folder, name);
    const credentials = await this.#credentials(repository);
    await this.#prepared(dir, url);
    return GitMirror.open(dir, url, credentials);
  }

  /** Made, or freed from what an earlier process left, once: the state folder is this process's alone. */
  #prepared(dir: string, url: string): Promise<unknown> {
    let ready = this.#ready.get(dir);
    if (!ready) {
      ready = removeLeftovers(dir).then(() => GitMirror.open(dir, url));
      this.#ready.set(dir, ready);
      ready.catch(() => this.#ready.delete(dir));
    }
    return ready;
  }

  async #credentials(repository: Repository): Promise<GitCredentials | undefined> {
    const { secretRef, url, serviceAccountName } = repository.spec;
    if (!secretRef) return undefined;
    const namespace = repository.metadata.namespace ?? "";
    const secret = await this.#secrets.read(namespace, secretRef.name, serviceAccountName);
    if (!hostAllowed(url, secret.allowedHosts)) {
      throw new SlipwayError(
        "HostNotAllowed",
        `Secret ${namespace}/${secretRef.name} may not be sent to ${new URL(url).host}`,
        {
          hint: `add the host to its annotation ${ANNOTATION_ALLOWED_HOSTS}`,
        },
      );
    }
    const { username, password } = secret.data;
    if (password === undefined) {
      throw new SlipwayError("SecretIncomplete", `Secret ${secretRef.name} has no key password`, {
        hint: "git over HTTP needs the keys username and password",
      });
    }
    return { username: username ?? "git", password };
  }

  /** Fetches refs, one fetch of a repository at a time (git locks its refs). */
  async fetch(repository: Repository, refs: readonly string[], signal?: AbortSignal): Promise<GitMirror> {
    const key = repository.metadata.uid ?? repository.metadata.name;
    const mirror = await this.mirror(repository);
    const before = this.#fetching.get(key) ?? Promise.resolve();
    const mine = before.catch(() => {}).then(() => mirror.fetch(refs, signal));
    this.#fetching.set(key, mine);
    try {
      await mine;
    } finally {
      if (this.#fetching.get(key) === mine) this.#fetching.delete(key);
    }
    return mirror;
  }

  /** What a commit or tree says; read once as long as it is among the last few. */
  snapshot(mirror: GitMirror, treeish: string, path: string): Promise<Snapshot> {
    const key = `${treeish} ${path}`;
    let snapshot = this.#snapshots.get(key);
    this.#snapshots.delete(key);
    if (!snapshot) {
      snapshot = loadSnapshot(mirror.at(treeish, path), path);
      snapshot.then(
        ({ blobs }) => this.#weigh(key, blobs),
        () => {
          this.#snapshots.delete(key);
          this.#bytes.delete(key);
        },
      );
    }
    this.#snapshots.set(key, snapshot); // last in insertion order: the most recently used
    this.#forgetOldest();
    return snapshot;
  }

  #weigh(key: string, blobs: Snapshot["blobs"]): void {
    let bytes = 0;
    for (const data of blobs.values()) bytes += data.byteLength;
    if (this.#snapshots.has(key)) this.#bytes.set(key, bytes);
    this.#forgetOldest();
  }

  #forgetOldest(): void {
    let bytes = 0;
    for (const size of this.#bytes.values()) bytes += size;
    for (const oldest of this.#snapshots.keys()) {
      const few = this.#snapshots.size <= KEPT_SNAPSHOTS && bytes <= KEPT_BYTES;
      if (few || this.#snapshots.size === 1) break;
      bytes -= this.#bytes.get(oldest) ?? 0;
      this.#snapshots.delete(oldest);
      this.#bytes.delete(oldest);
    }
  }
}
