#!/usr/bin/env node
import { existsSync } from "node:fs";

// Installed from the registry the program is compiled; in a clone Node runs the sources.
const compiled = new URL("../dist/controller/cli/main.js", import.meta.url);
const sources = new URL("../controller/cli/main.ts", import.meta.url);
const [major] = process.versions.node.split(".").map(Number);
if (major < 24) {
  console.error(`slipway needs Node 24 or later, this is ${process.version}`);
  process.exit(2);
}
await import(existsSync(sources) ? sources.href : compiled.href);
