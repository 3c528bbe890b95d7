import type { PromptTemplate, PromptTemplateStatus } from "../../../schemas/prompt-template.ts";
import { ConfigMap } from "../../kube/resources.ts";
import type { Kind } from "../../runtime/kind.ts";
import { PROMPT_TEMPLATE } from "../types.ts";
import { decide, type ObservedPrompt } from "./decide.ts";

export const promptTemplate: Kind<ObservedPrompt, PromptTemplateStatus> = {
  type: PROMPT_TEMPLATE,
  childTypes: [ConfigMap],
  observe: (object) => ({ prompt: object as unknown as PromptTemplate }),
  decide,
};
