import { type ArtifactManifest, artifactManifest } from "../../../schemas/artifact.ts";
import { SlipwayError } from "../../errors.ts";
import { canonicalJson, type Json } from "../../graph/canonical.ts";
import type { EffectHandler } from "../../runtime/kind.ts";
import type { BlobStore } from "../../store/store.ts";
import { sharedKey } from "../shared-with.ts";
import type { PrepareInput } from "./decide.ts";

/** The file of a staged input that says what to do; the others are blobs that it names. */
export const INPUT_FILE = "input.json";
const MAX_FILES = 10_000;

export interface StageOutput {
  /** Digest of a manifest that lists everything that a pod needs, so that its token opens that and nothing else. */
  readonly manifest: string;
}

/** Lays out for a pod what the preparation in this process would read. */
export function stageEffect(blobs: BlobStore): EffectHandler {
  return async (value) => {
    const input = value as unknown as PrepareInput;
    const digests = new Set(await blobsOf(input, blobs));
    if (digests.size >= MAX_FILES) {
      throw new SlipwayError(
        "SourceTooLarge",
        `the sources have ${digests.size} files; ${MAX_FILES} is the most`,
        {
          hint: "put them together into fewer",
        },
      );
    }
    const own = await blobs.put(canonicalJson(value));
    const files = [await fileOf(INPUT_FILE, own, blobs)];
    for (const digest of digests)
      files.push(await fileOf(`blob-${digest.slice("sha256:".length)}`, digest, blobs));
    files.sort((a, b) => (a.path < b.path ? -1 : 1));
    const manifest: ArtifactManifest = { version: 1, type: "dataset", files, metadata: { staged: true } };
    return { manifest: await blobs.put(canonicalJson(manifest)) } satisfies StageOutput as unknown as Json;
  };
}

async function fileOf(
  path: string,
  digest: string,
  blobs: BlobStore,
): Promise<ArtifactManifest["files"][number]> {
  const { bytes, stream } = await blobs.open(digest);
  stream.destroy();
  return { path, digest, bytes };
}

/** Every blob that the preparation reads. */
async function blobsOf(
  { spec, artifacts, suites, fetched = [] }: PrepareInput,
  blobs: BlobStore,
): Promise<string[]> {
  const found: string[] = [];
  for (const { files, datasetRef, split } of spec.sources) {
    for (const { digest } of files ?? []) if (digest !== undefined) found.push(digest);
    if (!datasetRef) continue;
    const digest = artifacts[sharedKey(datasetRef)] ?? "";
    found.push(digest);
    const manifest = artifactManifest.parse(JSON.parse(new TextDecoder().decode(await blobs.get(digest))));
    const file = manifest.files.find(({ path }) => path === `${split}.jsonl`);
    if (file) found.push(file.digest);
  }
  for (const { files } of fetched) found.push(...files.map(({ digest }) => digest));
  for (const { files } of Object.values(suites))
    for (const { digest } of files ?? []) if (digest !== undefined) found.push(digest);
  return found;
}
