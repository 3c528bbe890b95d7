import type { z } from "zod";
import { SlipwayError } from "../../controller/errors.ts";
import { fieldPath } from "./field-path.ts";

/** zod types whose parsed value differs from what was written, or that hide a fault. */
const CHANGES_VALUE: Record<string, string> = {
  pipe: "a transform or a pipe: parsed and stored value would differ",
  transform: "a transform: parsed and stored value would differ",
  catch: "catch(): a wrong value would pass here and fail in the API server",
  prefault: "prefault(): use default()",
};

interface Check {
  readonly _zod?: {
    readonly def: {
      readonly check: string;
      readonly pattern?: RegExp;
      readonly error?: (issue: never) => unknown;
    };
  };
}

interface Visit {
  readonly zodSchema: z.core.$ZodTypes;
  readonly path: readonly (string | number)[];
}

/**
 * Notices what zod checks but a JSON Schema cannot carry, while zod writes the JSON Schema: without it
 * such a rule would hold on a laptop and not in the cluster.
 */
export class ZodGuard {
  readonly #root: string;
  /** Refinement messages by place. A schema and its copies with metadata are visited apart, at one place. */
  readonly #refinements = new Map<
    string,
    { readonly path: readonly (string | number)[]; messages: Set<string> }
  >();

  constructor(root: string) {
    this.#root = root;
  }

  /** Call for every schema that zod converts. */
  visit({ zodSchema, path }: Visit): void {
    const { def } = zodSchema._zod;
    const lost = CHANGES_VALUE[def.type];
    if (lost) this.#fail(path, lost);
    if ((def as { coerce?: boolean }).coerce) {
      this.#fail(path, "coerce: a wrong type would pass here and fail in the API server");
    }
    for (const check of (def.checks ?? []) as Check[]) this.#check(check, path);
  }

  #check(check: Check, path: readonly (string | number)[]): void {
    const def = check._zod?.def;
    if (def?.check === "overwrite") {
      this.#fail(path, "an overwrite such as trim(): parsed and stored value would differ");
    }
    const flags = def?.pattern?.flags.replace("u", "");
    if (flags) this.#fail(path, `a pattern with the flags "${flags}": flags are lost; write them out`);
    if (def?.check !== "custom") return;
    const key = JSON.stringify(path);
    const place = this.#refinements.get(key) ?? { path, messages: new Set<string>() };
    place.messages.add(String(def.error?.({} as never)));
    this.#refinements.set(key, place);
  }

  /** Call at the end: every refinement must have a CEL rule of the same message beside it. */
  finish(schema: unknown): void {
    for (const { path, messages } of this.#refinements.values()) {
      const found = path.reduce<unknown>(
        (at, keyword) => (at as Record<string, unknown> | undefined)?.[String(keyword)],
        schema,
      );
      const rules = (found as { "x-kubernetes-validations"?: { message?: string }[] } | undefined)?.[
        "x-kubernetes-validations"
      ];
      for (const message of messages) {
        if (!rules?.some((rule) => rule.message === message)) {
          this.#fail(path, `refine() without a CEL rule (${message}): use withRules()`);
        }
      }
    }
  }

  #fail(path: readonly (string | number)[], why: string): never {
    throw new SlipwayError("NotStructural", `${fieldPath(this.#root, path)}: ${why}`);
  }
}
