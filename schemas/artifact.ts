import * as z from "zod";
import { digest } from "./common.ts";

/** Where a file of an artifact lies: relative, without `..`, as Hugging Face and Slipway name files. */
const filePath = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.@+-]*(\/[A-Za-z0-9_][A-Za-z0-9_.@+-]*)*$/);

/**
 * What a Dataset or a FineTuneJob makes: a list of files by digest. Stored as canonical JSON, whose digest is the
 * artifact's; so a name of 71 characters stands for every byte of it.
 */
export const artifactManifest = z.strictObject({
  version: z.literal(1),
  type: z.enum(["dataset", "model", "adapter"]),
  files: z
    .array(z.strictObject({ path: filePath, digest, bytes: z.int().min(0) }))
    .max(10_000)
    .refine(sortedByPath, { message: "files are sorted by path, each path once" }),
  metadata: z.record(z.string(), z.unknown()),
});
export type ArtifactManifest = z.infer<typeof artifactManifest>;

function sortedByPath(files: readonly { readonly path: string }[]): boolean {
  return files.every(({ path }, i) => i === 0 || files[i - 1]!.path < path);
}
