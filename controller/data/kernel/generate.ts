/** Compiles controller/data/kernel/assembly to WebAssembly, as a module of text; `--check` only says what differs. */
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { writeOrCheck } from "../../../schemas/generate/sync.ts";

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
await writeOrCheck(files, [folder]);
