/**
 * The long checks of Dataset preparation: killed twenty times at random, and on another major of Node, which is
 * fetched from npm into the cache. `npm run test:data`
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { cached } from "../../controller/dev/cache.ts";

/** Newer than what Slipway asks for, so that both are versions that users have. */
const OTHER_NODE = "26.10.0";

const name = `node-linux-${process.arch}`;
const artifact = { name: "node", version: OTHER_NODE, inputs: "npm".padEnd(12, "0") };
const folder = await cached(artifact, { report: console.error }, async (draft) => {
  execFileSync(
    "npm",
    ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", draft, `${name}@${OTHER_NODE}`],
    {
      stdio: "ignore",
    },
  );
});
const child = spawn("npx", ["vitest", "run", "--project", "component", "controller/data/"], {
  stdio: "inherit",
  env: {
    ...process.env,
    SLIPWAY_KILLS: "20",
    SLIPWAY_OTHER_NODE: join(folder, "node_modules", name, "bin", "node"),
  },
});
const [code] = (await once(child, "exit")) as [number | null];
process.exitCode = code ?? 1;
