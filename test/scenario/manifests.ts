import { stringify } from "yaml";
import type { EvalCase, EvalSuiteSpec } from "../../schemas/eval-suite.ts";
import { API_VERSION } from "../../schemas/kind.ts";
import type { ModelDeploymentSpec } from "../../schemas/model-deployment.ts";
import type { PromptTemplateSpec } from "../../schemas/prompt-template.ts";

/** As people write them: defaults left out. */
type Written<Spec> = { readonly [Field in keyof Spec]?: unknown };

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: object;
}

export function manifest(kind: string, name: string, spec: object): Manifest {
  return { apiVersion: API_VERSION, kind, metadata: { name }, spec };
}

/** A prompt that asks one question, with a ConfigMap of its name. */
export function promptManifest(name: string, text: string, more: Written<PromptTemplateSpec> = {}): Manifest {
  return manifest("PromptTemplate", name, {
    messages: [{ role: "user", content: text }],
    variables: [{ name: "ticket" }],
    parameters: { temperature: 0, maxTokens: 8 },
    output: { configMapName: name },
    ...more,
  });
}

export function deploymentManifest(
  name: string,
  baseURL: string,
  external: Written<NonNullable<ModelDeploymentSpec["external"]>> = {},
): Manifest {
  return manifest("ModelDeployment", name, {
    type: "External",
    external: { baseURL, model: "test-model", ...external },
  });
}

export interface SuiteOptions extends Written<Omit<EvalSuiteSpec, "targets" | "cases">> {
  readonly prompt: string;
  readonly model: string;
  readonly cases: readonly (Pick<EvalCase, "id"> & Partial<EvalCase>)[];
}

/** One target, inline cases, and the answer has to contain what is expected. */
export function suiteManifest(name: string, { prompt, model, cases, ...more }: SuiteOptions): Manifest {
  return manifest("EvalSuite", name, {
    targets: [{ name: "target", promptRef: { name: prompt }, modelRef: { name: model } }],
    cases: { inline: cases },
    assert: [{ type: "icontains", value: "{{expected}}" }],
    gates: [{ name: "quality", margin: 0.2 }],
    ...more,
  });
}

/** A file with these manifests, one document each. */
export function yamlOf(...manifests: readonly Manifest[]): string {
  return manifests.map((document) => stringify(document)).join("---\n");
}
