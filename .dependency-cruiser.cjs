/**
 * The layers of docs/contributing.md: an import may only point to the left.
 *   schemas < graph < store, kube < runtime < eval < gitops < kinds, pr < cli, dev, main
 * and what is pure (decisions, plans, reports, statistics) imports nothing that does I/O.
 */
const layers = [
  ["schemas", []],
  ["controller/graph", ["schemas"]],
  ["controller/template", ["schemas"]],
  ["controller/json-schema", ["schemas", "controller/graph"]],
  ["controller/kube", ["schemas", "controller/graph"]],
  ["controller/runtime", ["schemas", "controller/graph", "controller/kube", "controller/store"]],
  [
    "controller/gitops",
    [
      "schemas",
      "controller/graph",
      "controller/kube",
      "controller/runtime",
      "controller/store",
      "controller/eval",
    ],
  ],
  ["controller/store", ["schemas", "controller/graph"]],
  [
    "controller/eval",
    [
      "schemas",
      "controller/graph",
      "controller/kube",
      "controller/runtime",
      "controller/store",
      "controller/template",
      "controller/json-schema",
    ],
  ],
  ["controller/sources", ["schemas", "controller/graph", "controller/kube"]],
  ["controller/lineage", ["schemas", "controller/graph"]],
  ["controller/data", ["schemas", "controller/graph", "controller/template", "controller/json-schema"]],
  [
    "controller/work",
    ["schemas", "controller/graph", "controller/kube", "controller/runtime", "controller/store"],
  ],
  [
    "controller/kinds",
    [
      "controller/work",
      "controller/sources",
      "controller/data",
      "schemas",
      "controller/graph",
      "controller/kube",
      "controller/runtime",
      "controller/store",
      "controller/gitops",
      "controller/eval",
    ],
  ],
  [
    "controller/pr",
    [
      "controller/data",
      "schemas",
      "controller/graph",
      "controller/kube",
      "controller/runtime",
      "controller/store",
      "controller/gitops",
      "controller/eval",
    ],
  ],
  ["controller/dev", ["controller/kube", "schemas"]],
];
const everywhere = ["controller/errors\\.ts$", "controller/log\\.ts$"];
const pure =
  "(/decide(-job)?\\.ts$|/plan\\.ts$|/report\\.ts$|^controller/pr/report/|^controller/graph/|^controller/lineage/|^controller/eval/statistics/|^controller/eval/graders/|^controller/eval/template/|^controller/template/)";
const io =
  "^(node:)?(fs|fs/promises|net|http|https|tls|child_process|worker_threads|sqlite|dns)$|(^|/)node_modules/(undici|octokit|openai|simple-git|@kubernetes|pino)";

module.exports = {
  forbidden: [
    ...layers.map(([layer, allowed]) => ({
      name: `layer ${layer}`,
      severity: "error",
      from: { path: `^${layer}/`, pathNot: "\\.test\\.ts$" },
      to: {
        path: "^(schemas|controller)/",
        pathNot: [`^${layer}/`, ...allowed.map((a) => `^${a}/`), ...everywhere.map((e) => `^${e}`)],
      },
    })),
    {
      name: "pure files do no I/O",
      severity: "error",
      from: { path: pure, pathNot: "\\.test\\.ts$" },
      to: { path: io },
    },
    {
      name: "no cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "product never imports tests",
      severity: "error",
      from: { path: "^(controller|schemas)/", pathNot: "\\.test\\.ts$" },
      to: { path: "^(test|bench)/|\\.test\\.ts$" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    // Packages are not followed, but must be seen: the rules name some. As Node finds them, or octokit is not found.
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["node", "import", "default"] },
    exclude: { path: "^dist/" },
  },
};
