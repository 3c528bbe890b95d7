import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { SlipwayError } from "../../errors.ts";
import { type CacheOptions, cached } from "../cache.ts";
import { RUNTIME } from "./pins.ts";

const run = promisify(execFile);

/** node-llama-cpp's prebuilt programs without a GPU; its own optional dependencies add 600 MB of CUDA. */
const PREBUILT: Readonly<Record<string, string>> = {
  "linux-x64": "@node-llama-cpp/linux-x64",
  "linux-arm64": "@node-llama-cpp/linux-arm64",
  "darwin-arm64": "@node-llama-cpp/mac-arm64-metal",
  "darwin-x64": "@node-llama-cpp/mac-x64",
  "win32-x64": "@node-llama-cpp/win-x64",
  "win32-arm64": "@node-llama-cpp/win-arm64",
};

/**
 * The folder in which llama.cpp's Node binding is installed; fetched with npm (85 MB, no install
 * scripts, npm's own registry settings) when it is not in the cache.
 */
export async function ensureRuntime(options: CacheOptions): Promise<string> {
  const prebuilt = PREBUILT[`${process.platform}-${process.arch}`];
  if (prebuilt === undefined) {
    throw new SlipwayError(
      "PlatformUnsupported",
      `there is no prebuilt llama.cpp for ${process.platform}-${process.arch}`,
      { hint: "point --model-url at any other OpenAI-compatible endpoint" },
    );
  }
  const { name, version } = RUNTIME;
  return cached({ name, version, inputs: "prebuilt-cpu" }, options, async (folder) => {
    const started = Date.now();
    const tell = () => {
      const seconds = Math.round((Date.now() - started) / 1000);
      options.report(`installing ${name} ${version} with npm: ${seconds} s`);
    };
    tell();
    const timer = setInterval(tell, 1000);
    try {
      await writeFile(join(folder, "package.json"), '{ "private": true }\n');
      const packages = [`${name}@${version}`, `${prebuilt}@${version}`];
      const flags = ["--save-exact", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"];
      await run("npm", ["install", "--prefix", folder, ...flags, ...packages], {
        cwd: folder,
        maxBuffer: 16 * 1024 * 1024,
        shell: process.platform === "win32",
        ...(options.signal && { signal: options.signal }),
      });
    } catch (cause) {
      options.signal?.throwIfAborted();
      throw new SlipwayError("DownloadFailed", `${name} ${version} could not be installed with npm`, {
        hint: "npm must be in PATH and its registry reachable; `npm view node-llama-cpp` shows what is wrong",
        cause,
        retryable: true,
      });
    } finally {
      clearInterval(timer);
    }
  });
}
