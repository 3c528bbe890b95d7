import { deploymentManifest, promptManifest, suiteManifest, yamlOf } from "./manifests.ts";

export const PROMPTS = 180;
export const SUITES = 18;
export const DEPLOYMENTS = 2;

/** The text of a prompt that no suite uses. */
export const lonePrompt = (text: string): string => yamlOf(promptManifest("prompt-100", text));

/**
 * Manifests of 200 resources: prompts with ConfigMaps, deployments, and suites that each use a prompt and a
 * deployment and have a run, all answered by the endpoint.
 */
export function manyResources(baseURL: string): Record<string, string> {
  const files: Record<string, string> = { "README.md": "# Prompts\n" };
  for (let i = 0; i < DEPLOYMENTS; i++)
    files[`models/model-${i}.yaml`] = yamlOf(deploymentManifest(`model-${i}`, baseURL));
  for (let i = 0; i < PROMPTS; i++)
    files[`prompts/prompt-${i}.yaml`] = yamlOf(promptManifest(`prompt-${i}`, `Prompt ${i}: {{ticket}}`));
  for (let i = 0; i < SUITES; i++) {
    const cases = [{ id: "one", vars: { ticket: "hello" }, expected: "answer" }];
    files[`suites/suite-${i}.yaml`] = yamlOf(
      suiteManifest(`suite-${i}`, { prompt: `prompt-${i}`, model: `model-${i % DEPLOYMENTS}`, cases }),
    );
  }
  return files;
}
