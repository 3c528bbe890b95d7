import { defineConfig } from "vitest/config";

const cluster = { globalSetup: ["test/devcluster/global-setup.ts"], fileParallelism: false };

/** Unit tests stand beside the code and need no cluster; the others use a real API server and a real forge. */
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
            "test/contract/**/*.test.ts",
          ],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 1_200_000,
          ...cluster,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 1_200_000,
          ...cluster,
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
