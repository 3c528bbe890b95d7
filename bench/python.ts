import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheRoot } from "../controller/dev/paths.ts";
import { progress } from "./harness.ts";

const run = promisify(execFile);

/** The Python of a virtual environment with pinned packages from PyPI, made once in the cache. */
export async function pythonWith(requirements: string): Promise<string> {
  const digest = createHash("sha256")
    .update(await readFile(requirements))
    .digest("hex")
    .slice(0, 12);
  const folder = join(cacheRoot(), `bench-python-${digest}`);
  const python = join(folder, "bin", "python");
  if (
    await access(python).then(
      () => true,
      () => false,
    )
  )
    return python;
  progress(`installing ${requirements}`);
  await mkdir(cacheRoot(), { recursive: true });
  const draft = `${folder}.draft-${process.pid}`;
  try {
    await run(process.env.PYTHON ?? "python3", ["-m", "venv", draft]);
    await run(join(draft, "bin", "python"), ["-m", "pip", "install", "--quiet", "-r", requirements], {
      maxBuffer: 1 << 26,
    });
    await rename(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return python;
}
