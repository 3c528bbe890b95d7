import { SlipwayError } from "../errors.ts";
import type { EffectHandler } from "../runtime/kind.ts";
import type { ReportStore } from "../store/store.ts";

/** A file that a spec names, with the digest that a Repository wrote beside it. */
export interface RepositoryFile {
  readonly path: string;
  readonly digest?: string | undefined;
}

/**
 * An effect that reads such files. All tenants' files lie in one store, and whoever applies an object by hand can write
 * any digest: what no Repository of the object's namespace has brought is not read.
 * @param filesOf the files that an input names
 */
export function ofRepositories(
  effect: EffectHandler,
  filesOf: (input: unknown) => readonly RepositoryFile[],
  reports: Pick<ReportStore, "hasUploadIn">,
): EffectHandler {
  return async (input, context) => {
    const { namespace } = context.object;
    for (const { path, digest } of filesOf(input)) {
      // Without a digest nothing is read.
      if (digest === undefined || reports.hasUploadIn("Repository", namespace, digest)) continue;
      throw new SlipwayError(
        "Unresolved",
        `no Repository of this namespace has brought ${path} as ${digest}`,
        {
          hint: "leave the digest out and let a Repository apply the object: it writes the digest",
          // A state folder that was lost is filled again by the next sync.
          retryable: true,
        },
      );
    }
    return effect(input, context);
  };
}
