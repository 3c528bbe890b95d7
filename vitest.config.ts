import { defineConfig } from "vitest/config";

/** Unit tests sit beside the code and need no cluster; the other two share one real local cluster. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["controller/**/*.test.ts", "schemas/**/*.test.ts", "examples/**/*.test.ts", "test/unit/**/*.test.ts"],
        },
      },
    ],
  },
});
