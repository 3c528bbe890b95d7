import type { RuntimeName } from "../../../../schemas/model-deployment-in-cluster.ts";
import { custom } from "./custom.ts";
import { llamaCpp } from "./llama-cpp.ts";
import { ollama } from "./ollama.ts";
import { sglang } from "./sglang.ts";
import { tgi } from "./tgi.ts";
import { transformers } from "./transformers.ts";
import type { Runtime } from "./types.ts";
import { vllm } from "./vllm.ts";

export const RUNTIME: Readonly<Record<RuntimeName, Runtime>> = {
  VLLM: vllm,
  SGLang: sglang,
  LlamaCpp: llamaCpp,
  TGI: tgi,
  Ollama: ollama,
  Transformers: transformers,
  Custom: custom,
};
