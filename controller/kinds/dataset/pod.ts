import { join } from "node:path";
import { type ArtifactManifest, artifactManifest } from "../../../schemas/artifact.ts";
import { SlipwayError } from "../../errors.ts";
import type { Json } from "../../graph/canonical.ts";
import type { Logger } from "../../log.ts";
import { openBlobStore } from "../../store/blobs.ts";
import type { BlobStore } from "../../store/store.ts";
import type { WorkClient } from "../../work/client.ts";
import type { PrepareInput, PrepareOutput } from "./decide.ts";
import { prepareEffect } from "./index.ts";
import { INPUT_FILE } from "./staging.ts";

/** Percent at which each phase begins; the last report says Succeeded. */
const PHASES = { Reading: 0, Preparing: 30, Storing: 80 } as const;

export interface PodOptions {
  readonly client: WorkClient;
  /** Digest of the staged input's manifest. */
  readonly input: string;
  /** An empty folder with room for the sources and what is made of them. */
  readonly folder: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Prepares a Dataset in a pod: everything is brought into a blob store of the pod's own, prepared by the very code that
 * runs in the controller, and stored there; so the digest is the same.
 * @throws SlipwayError as the effect `prepare`; ControllerUnreachable, BlobNotFound
 */
export async function prepareInPod({
  client,
  input,
  folder,
  log,
  signal,
}: PodOptions): Promise<PrepareOutput> {
  const blobs = await openBlobStore(join(folder, "blobs"));
  const fetch = async (digest: string) => client.download(digest, (data) => blobs.putStream(data));
  const report = (phase: keyof typeof PHASES, done: number) => {
    const [from, upTo] = [PHASES[phase], phase === "Reading" ? 30 : phase === "Preparing" ? 80 : 99];
    return client.report({
      state: "Running",
      progress: { phase, percent: Math.floor(from + (upTo - from) * done) },
    });
  };
  await report("Reading", 0);
  await fetch(input);
  const staged = await manifestOf(input, blobs);
  await inTurn(staged.files, fetch, (done) => report("Reading", done));
  const file = staged.files.find(({ path }) => path === INPUT_FILE);
  if (!file) throw new SlipwayError("BlobCorrupt", `${input} is no staged input`);
  const work = JSON.parse(new TextDecoder().decode(await blobs.get(file.digest))) as PrepareInput;
  await report("Preparing", 0);
  const output = (await prepareEffect(blobs)(work as unknown as Json, {
    signal,
    progress: (value) => {
      const { percent = 0 } = (value ?? {}) as { percent?: number };
      // The next report says more; one that is lost is no harm.
      report("Preparing", percent / 100).catch((err: unknown) => log.warn({ err }, "cannot report"));
    },
  })) as unknown as PrepareOutput;
  const store = (digest: string) => client.upload(async () => (await blobs.open(digest)).stream, digest);
  if (output.artifact) {
    const { digest } = output.artifact;
    const { files } = await manifestOf(digest, blobs);
    await inTurn(files, store, (done) => report("Storing", done));
    // Last: whoever can read the manifest can read everything that it lists.
    await store(digest);
  }
  return output;
}

async function manifestOf(digest: string, blobs: BlobStore): Promise<ArtifactManifest> {
  return artifactManifest.parse(JSON.parse(new TextDecoder().decode(await blobs.get(digest))));
}

/** One file after the other; says how far it is by bytes, at most every tenth. */
async function inTurn(
  files: ArtifactManifest["files"],
  each: (digest: string) => Promise<void>,
  report: (done: number) => Promise<void>,
): Promise<void> {
  const all = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  let said = 0;
  for (const { digest, bytes } of files) {
    await each(digest);
    done += bytes;
    if (all === 0 || done / all < said + 0.1) continue;
    said = done / all;
    await report(said);
  }
}
