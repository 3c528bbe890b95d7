/** Compiles controller/data/kernel/assembly to WebAssembly, as a module of text; `--check` only says what differs. */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import asc from "assemblyscript/asc";
import { compareFiles, repairFiles } from "../../../schemas/generate/sync.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const folder = "controller/data/kernel/generated";
const source = "controller/data/kernel/assembly/index.ts";

let wasm = "";
const { error, stderr } = await asc.main(
  [source, "--baseDir", root, "--outFile", "kernel.wasm", "-O3", "--runtime", "stub", "--enable", "simd"],
  {
    writeFile: (_, contents) => {
      wasm = Buffer.from(contents).toString("base64");
    },
  },
);
if (error) throw new Error(stderr.toString(), { cause: error });

const head = `/** WebAssembly of ${source}, made by \`npm run generate\`. */\n`;
const files = new Map([[`${folder}/wasm.ts`, `${head}export const WASM =\n  "${wasm}";\n`]]);
const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const differences = await compareFiles(root, files, [folder]);
if (values.check) {
  for (const { path, problem } of differences) console.error(`${path}: ${problem}`);
  if (differences.length > 0) {
    console.error("The kernel is not that of its source: run `npm run generate` and commit it.");
    process.exitCode = 1;
  }
} else {
  await repairFiles(root, files, differences);
  console.log(`${differences.length} of ${files.size} files of the kernel changed`);
}
