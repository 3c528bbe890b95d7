import { join } from "node:path";
import { type CacheOptions, cached, digestFiles } from "./cache.ts";
import { goBuild, goInputs } from "./go-build.ts";
import { buildModule } from "./paths.ts";

/** Pinned by `build/versitygw/go.mod`. */
export const VERSITYGW_VERSION = "1.8.0";

const BUILD = { variables: [`main.Version=v${VERSITYGW_VERSION}`] };

/** Versity's S3 gateway, which serves a folder as S3: from the cache, else compiled from Go modules. */
export async function versitygwBinary(options: CacheOptions): Promise<string> {
  const module = buildModule("versitygw");
  const files = ["go.mod", "go.sum"].map((file) => join(module, file));
  const inputs = await digestFiles(files, ...goInputs(BUILD));
  const artifact = { name: "versitygw", version: VERSITYGW_VERSION, inputs };
  const folder = await cached(artifact, options, async (draft) => {
    await goBuild({
      ...options,
      ...BUILD,
      title: `versitygw ${VERSITYGW_VERSION}`,
      module,
      pkg: "github.com/versity/versitygw/cmd/versitygw",
      owner: draft,
      output: join(draft, "versitygw"),
    });
  });
  return join(folder, "versitygw");
}
