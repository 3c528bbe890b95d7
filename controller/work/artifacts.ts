import * as z from "zod";
import { type ArtifactManifest, artifactManifest } from "../../schemas/artifact.ts";
import { SlipwayError } from "../errors.ts";
import type { BlobStore, ReportStore } from "../store/store.ts";

/** A manifest is read whole. */
export const MAX_MANIFEST_BYTES = 4 << 20;
/** PEFT's has about 1 KiB; layers with names of their own make it longer. */
const MAX_ADAPTER_CONFIG_BYTES = 1 << 20;

type Blobs = Pick<BlobStore, "has" | "open" | "get">;

/** Undefined for a blob that is not there, or no manifest. */
export function readManifest(digest: string, blobs: Blobs): Promise<ArtifactManifest | undefined> {
  return readJson(digest, artifactManifest, MAX_MANIFEST_BYTES, blobs);
}

const adapterConfig = z.object({ r: z.int().min(1).max(1_048_576) });

/** The rank of a LoRA adapter: https://huggingface.co/docs/peft/package_reference/lora. Undefined where none is said. */
export async function rankOf({ files }: ArtifactManifest, blobs: Blobs): Promise<number | undefined> {
  const config = files.find(({ path }) => path === "adapter_config.json");
  return config && (await readJson(config.digest, adapterConfig, MAX_ADAPTER_CONFIG_BYTES, blobs))?.r;
}

async function readJson<T>(
  digest: string,
  schema: z.ZodType<T>,
  maxBytes: number,
  blobs: Blobs,
): Promise<T | undefined> {
  if (!(await blobs.has(digest))) return undefined;
  const { bytes, stream } = await blobs.open(digest);
  stream.destroy();
  if (bytes > maxBytes) return undefined;
  const data = await blobs.get(digest);
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return undefined;
  }
}

/**
 * All tenants' blobs lie in one store, so to know a digest must not be enough to read what another has made: not by
 * naming it as a model, and not by a manifest of one's own that lists it. Digests come from specs and from pods.
 * @throws SlipwayError UnknownArtifact unless pods of FineTuneJobs of this namespace stored the manifest and its files
 */
export async function assertMadeIn(
  namespace: string,
  artifact: string,
  {
    blobs,
    reports,
  }: {
    readonly blobs: Blobs;
    readonly reports: Pick<ReportStore, "hasUploadIn">;
  },
): Promise<void> {
  const isOurs = (digest: string) => reports.hasUploadIn("FineTuneJob", namespace, digest);
  const manifest = isOurs(artifact) ? await readManifest(artifact, blobs) : undefined;
  if (manifest?.files.every((file) => isOurs(file.digest))) return;
  throw new SlipwayError(
    "UnknownArtifact",
    `no FineTuneJob of this namespace has made the artifact ${artifact}`,
    { hint: "name the digest in status.artifact of a FineTuneJob that is still there" },
  );
}
