import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const FOLDERS = [
  "kinds",
  "json-schema",
  "runtime",
  "gitops",
  "eval",
  "graph",
  "kube",
  "pr",
  "store",
  "install",
  "sources",
  "data",
  "work",
];

/** Where a reason or an error's code is written in the code. */
const PATTERNS = [
  /new (?:SlipwayError|ModelError|ForgeError)\(\s*"([A-Z]\w+)"/g,
  /\b(?:ready|reconciling|stalled|bad|skip)\(\s*"([A-Z]\w+)"/g,
  /\bcondition\(\s*"\w+",\s*"(?:True|False|Unknown)",\s*"([A-Z]\w+)"/g,
  /\b(?:reason|code): "([A-Z]\w+)"/g,
  /\?\? "([A-Z][a-z]+[A-Z]\w+)"/g,
  /\b[45]\d\d: "([A-Z]\w+)"/g,
];

/** Written in the code, and never in a status, an Event or what a process ends with. */
const INTERNAL = new Set([
  // Faults of a caller of the statistics; a suite cannot cause them.
  ...["DuplicateCase", "InvalidCount", "InvalidGate", "InvalidObservation", "InvalidPValue", "NoCases"],
  // Become texts in status.errors, under the reason InvalidManifests or InvalidCases.
  ...["Cycle", "MissingReference", "InvalidCase", "UnsupportedAssertion"],
  // How parts of the process tell each other that it stops, or a fault of the program.
  ...[
    "ClientClosed",
    "NotLeading",
    "ShuttingDown",
    "WatchStopped",
    "WatchMismatch",
    // The answer 413 to a pod.
    "BlobTooLarge",
    "UnknownEffect",
    "InvalidChild",
  ],
  // Why the plan does not delete; the message of Synced says it.
  ...["Disabled", "Halted", "Incomplete", "NotHealthy"],
  // A strategy's name.
  "BlueGreen",
  // A run with nothing to compare passes, and says so in its message.
  "NotCompared",
]);

/** Made from a verdict at run time. */
const VERDICTS = ["Pass", "Fail", "Inconclusive", "Error"];

function sources(folder: string): string[] {
  return (
    readdirSync(join(ROOT, "controller", folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
      // Verdict reasons of a pull request are not shown; their texts are.
      .filter((name) => !(folder === "pr" && name === "decide.ts"))
      .map((name) => readFileSync(join(ROOT, "controller", folder, name), "utf8"))
  );
}

function reasonsInCode(): Set<string> {
  const found = new Set<string>();
  for (const text of FOLDERS.flatMap(sources))
    for (const pattern of PATTERNS) for (const [, reason = ""] of text.matchAll(pattern)) found.add(reason);
  return found;
}

const page = readFileSync(join(ROOT, "docs", "guides", "troubleshooting.md"), "utf8");
const explained = new Set([...page.matchAll(/`([A-Z]\w+)`/g)].map(([, word]) => word));

test("every reason that the code can give is explained", () => {
  const reasons = [...reasonsInCode(), ...VERDICTS].filter((reason) => !INTERNAL.has(reason));
  expect(reasons.length).toBeGreaterThan(60);
  expect(reasons.filter((reason) => !explained.has(reason)).sort()).toEqual([]);
});

test("what is called internal is still in the code", () => {
  const reasons = reasonsInCode();
  expect([...INTERNAL].filter((reason) => !reasons.has(reason))).toEqual([]);
});

test("no reason is explained that the code does not have", () => {
  const code = FOLDERS.flatMap(sources).join("\n");
  const inTables = page
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .flatMap((line) =>
      [...(line.split("|")[1] ?? "").matchAll(/`([A-Z]\w+)`/g)].map(([, word]) => word ?? ""),
    );
  expect(inTables.length).toBeGreaterThan(60);
  expect(inTables.filter((reason) => !code.includes(`"${reason}"`))).toEqual([]);
});
