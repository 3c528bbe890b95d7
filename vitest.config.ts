import { defineConfig } from "vitest/config";

const cluster = { globalSetup: ["test/devcluster/global-setup.ts"], fileParallelism: false };
const endToEnd = { testTimeout: 300_000, hookTimeout: 1_200_000, ...cluster };

/** What talks to processes, files or sockets, or tries many cases, without a cluster: too slow to run at each save. */
const component = [
  "controller/cli/interrupt.test.ts",
  "controller/cli/fetch/*.test.ts",
  "controller/kinds/model-deployment/{effects,source-effects}.test.ts",
  "controller/dev/**/*.test.ts",
  "controller/gitops/git.test.ts",
  // Puts another kind in the place of the real ones.
  "controller/graph/graph.test.ts",
  "controller/gitops/manifest.fuzz.test.ts",
  "controller/kinds/dataset/fetch.test.ts",
  "controller/kinds/monitor/loop.test.ts",
  "controller/kinds/monitor/effects/compare.test.ts",
  "controller/kube/{client,watch}.test.ts",
  "controller/sources/**/*.test.ts",
  "controller/data/{engine,kill}.test.ts",
  "controller/log.test.ts",
  "controller/pr/forge-of.test.ts",
  "controller/pr/forge/{gitea,wire}.test.ts",
  "controller/eval/statistics/coverage.test.ts",
  "test/contract/**/*.test.ts",
  "test/train/**/*.test.ts",
];

/** Tests stand beside the code. Unit and component tests need no cluster; the others use a real one and a real forge. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: [
            "controller/**/*.test.ts",
            "schemas/**/*.test.ts",
            "examples/**/*.test.ts",
            "test/unit/**/*.test.ts",
          ],
          exclude: component,
          // One set of loaded modules for all files: loading them anew for each took most of the time. So unit tests
          // mock no modules and leave no global state behind.
          isolate: false,
          pool: "threads",
          maxWorkers: 2,
          testTimeout: 20_000,
        },
      },
      { test: { name: "component", include: component, maxWorkers: 2, testTimeout: 20_000 } },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 1_200_000,
          ...cluster,
        },
      },
      { test: { name: "e2e", include: ["test/e2e/*.test.ts"], ...endToEnd } },
      { test: { name: "in-cluster", include: ["test/e2e/in-cluster/*.test.ts"], ...endToEnd } },
      {
        test: {
          name: "rollout",
          include: ["test/rollout/**/*.test.ts"],
          testTimeout: 3_600_000,
          hookTimeout: 1_200_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "crash",
          include: ["test/crash/**/*.test.ts"],
          testTimeout: 1_800_000,
          hookTimeout: 1_200_000,
          ...cluster,
        },
      },
    ],
  },
});
