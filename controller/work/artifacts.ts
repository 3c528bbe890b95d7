import { type ArtifactManifest, artifactManifest } from "../../schemas/artifact.ts";
import { SlipwayError } from "../errors.ts";
import type { BlobStore, ReportStore } from "../store/store.ts";

/** A manifest is read whole. */
export const MAX_MANIFEST_BYTES = 4 << 20;

/** Undefined for a blob that is not there, or no manifest. */
export async function readManifest(
  digest: string,
  blobs: Pick<BlobStore, "has" | "open" | "get">,
): Promise<ArtifactManifest | undefined> {
  if (!(await blobs.has(digest))) return undefined;
  const { bytes, stream } = await blobs.open(digest);
  stream.destroy();
  if (bytes > MAX_MANIFEST_BYTES) return undefined;
  const data = await blobs.get(digest);
  try {
    return artifactManifest.parse(JSON.parse(new TextDecoder().decode(data)));
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
    readonly blobs: Pick<BlobStore, "has" | "open" | "get">;
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
