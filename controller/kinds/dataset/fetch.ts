import { SlipwayError } from "../../errors.ts";
import type { Json } from "../../graph/canonical.ts";
import type { SecretReader } from "../../kube/secrets.ts";
import type { EffectHandler } from "../../runtime/kind.ts";
import {
  credentialsOf,
  type PinnedFile,
  readFile,
  resolveSource,
  type SourceAccess,
} from "../../sources/index.ts";
import type { BlobStore, ReportStore } from "../../store/store.ts";
import type { FetchedSource, FetchInput, FetchOutput, OutsideSource } from "./resolution.ts";

/** Of one source; the blob store has to hold it. */
const MAX_SOURCE_BYTES = 64 * 2 ** 30;
const MAX_FILES = 1_000;
const DATA_FILE = /\.(jsonl|ndjson|csv|parquet)(\.gz)?$/i;

export interface FetchDependencies {
  readonly blobs: BlobStore;
  readonly secrets: Pick<SecretReader, "read">;
  readonly reports: Pick<ReportStore, "hasUpload" | "addUpload">;
}

/**
 * What was read before for the same object. All tenants' blobs lie in one store: a server that only says which digest
 * its file has must not be given what others have stored under it.
 */
export interface Former {
  readonly has: (digest: string) => boolean;
  readonly add: (digest: string) => Promise<void>;
}

/**
 * Brings what the urls hold into the blob store: what is prepared afterwards is named by digest, cannot change and
 * cannot vanish. Nothing is kept of a file that breaks off or is not what was asked for.
 */
export function fetchEffect({ blobs, secrets, reports }: FetchDependencies): EffectHandler {
  return async (value, { owner, signal, progress }) => {
    const input = value as unknown as FetchInput;
    const former: Former = {
      has: (digest) => reports.hasUpload(owner, digest),
      add: (digest) => reports.addUpload(owner, digest),
    };
    const sources: FetchedSource[] = [];
    for (const source of input.sources) {
      progress(`reading ${source.name}`);
      sources.push(await fetchSource(source, await accessOf(source, input, secrets), blobs, former, signal));
    }
    return { sources } satisfies FetchOutput as unknown as Json;
  };
}

/** Brings one source into the blob store. */
export async function fetchSource(
  source: OutsideSource,
  access: SourceAccess,
  blobs: BlobStore,
  former: Former,
  signal: AbortSignal,
): Promise<FetchedSource> {
  const { resolved, files } = await resolveSource(source.url, access, signal);
  const wanted = dataFiles(source, files);
  let left = MAX_SOURCE_BYTES;
  const fetched: { path: string; digest: string; bytes: number }[] = [];
  for (const file of wanted) {
    const { digest, bytes } = await keep(file, access, blobs, former, left, signal);
    left -= bytes;
    fetched.push({ path: file.path, digest, bytes });
  }
  return { name: source.name, resolved, files: fetched };
}

/** What was read before, and is there by its digest, is not read again. */
async function keep(
  file: PinnedFile,
  access: SourceAccess,
  blobs: BlobStore,
  former: Former,
  maxBytes: number,
  signal: AbortSignal,
): Promise<{ digest: string; bytes: number }> {
  const { digest, bytes } = file;
  if (digest !== undefined && bytes !== undefined && former.has(digest) && (await blobs.has(digest)))
    return { digest, bytes };
  const stored = await blobs.putStream(readFile(file, access, { signal, maxBytes }));
  await former.add(stored.digest);
  return stored;
}

function dataFiles(source: OutsideSource, files: readonly PinnedFile[]): PinnedFile[] {
  const wanted = files.length === 1 ? files : files.filter(({ path }) => DATA_FILE.test(path));
  if (wanted.length === 0)
    throw new SlipwayError("EmptySource", `the source ${source.name} has no .jsonl, .csv or .parquet file`);
  if (wanted.length > MAX_FILES)
    throw new SlipwayError("SourceTooLarge", `the source ${source.name} has more than ${MAX_FILES} files`, {
      hint: "name a folder of it, or a file",
    });
  if (source.digest === undefined) return [...wanted];
  if (wanted.length > 1)
    throw new SlipwayError("DigestMismatch", `the source ${source.name} has ${wanted.length} files`, {
      hint: "digest is for a url that names one file",
    });
  return wanted.map((file) => ({ ...file, digest: source.digest! }));
}

async function accessOf(
  { url, endpoint, region, secretRef }: OutsideSource,
  { namespace, serviceAccountName }: FetchInput,
  secrets: Pick<SecretReader, "read">,
): Promise<SourceAccess> {
  const place = {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
  };
  if (!secretRef) return place;
  const { data, allowedHosts } = await secrets.read(namespace, secretRef.name, serviceAccountName);
  const credentials = credentialsOf(url, `${namespace}/${secretRef.name}`, data);
  return { ...place, credentials, allowedHosts };
}
