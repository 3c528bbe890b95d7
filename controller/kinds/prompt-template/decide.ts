import type { PromptTemplate, PromptTemplateStatus } from "../../../schemas/prompt-template.ts";
import { SlipwayError } from "../../errors.ts";
import { type LintReport, lintPrompt } from "../../eval/template/lint.ts";
import { canonicalJson } from "../../graph/canonical.ts";
import { revisionOf } from "../../graph/graph.ts";
import type { KubeObject } from "../../kube/resources.ts";
import { ready } from "../../runtime/conditions.ts";
import type { Decision } from "../../runtime/kind.ts";
import { revisionFields } from "../types.ts";

export interface ObservedPrompt {
  readonly prompt: PromptTemplate;
}

/**
 * Compiles a prompt: checks it, and publishes it as a ConfigMap where one is asked for.
 * @throws SlipwayError InvalidTemplate: the engine says so in the status and leaves what was published as it is
 */
export function decide({ prompt }: ObservedPrompt): Decision<PromptTemplateStatus> {
  const { spec } = prompt;
  const lint = lintPrompt(spec);
  const [fault] = lint.errors;
  // A decision without the ConfigMap would delete what running applications mount.
  if (fault) throw new SlipwayError("InvalidTemplate", `spec.${fault.field}: ${fault.message}`);
  const revision = revisionOf(prompt, () => undefined) ?? "";
  const children = spec.output ? [configMap(prompt, revision)] : [];
  return {
    children,
    effects: [],
    status: {
      ...revisionFields(revision),
      variables: spec.variables.map(({ name }) => name),
      ...(lint.findings.length > 0 ? { lint: findings(lint) } : {}),
      ...(spec.output ? { configMapName: spec.output.configMapName } : {}),
      conditions: ready("Compiled", `${spec.messages.length} messages, ${spec.variables.length} variables`),
    },
  };
}

function findings(lint: LintReport): NonNullable<PromptTemplateStatus["lint"]> {
  return lint.findings.slice(0, 32).map(({ rule, message, field }) => ({
    rule,
    message: message.slice(0, 1024),
    field: `spec.${field}`.slice(0, 256),
  }));
}

/** What an application mounts: the whole prompt as JSON, and its revision beside it. */
function configMap(prompt: PromptTemplate, revision: string): KubeObject {
  const { messages, variables, parameters, outputSchema, output } = prompt.spec;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: output?.configMapName ?? "",
      ...(prompt.metadata.namespace ? { namespace: prompt.metadata.namespace } : {}),
    },
    data: {
      revision,
      "prompt.json": canonicalJson({
        name: prompt.metadata.name,
        revision,
        messages,
        variables,
        parameters,
        outputSchema,
      }),
    },
  };
}
