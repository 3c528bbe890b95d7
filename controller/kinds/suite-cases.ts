import type { EvalCase, EvalSuite } from "../../schemas/eval-suite.ts";
import { formatLocation, SlipwayError } from "../errors.ts";
import { loadCases } from "../eval/cases.ts";
import type { BlobStore } from "../store/store.ts";

/**
 * The cases of a suite, from its files in the store and from its spec.
 * @throws SlipwayError InvalidCases with the place of the first fault; retryable Unresolved for a file without a digest;
 * BlobNotFound
 */
export async function readCases(
  { files = [], inline = [] }: EvalSuite["spec"]["cases"],
  blobs: Pick<BlobStore, "get">,
): Promise<readonly EvalCase[]> {
  const read = files.map(async ({ path, digest }) => {
    if (digest === undefined)
      throw new SlipwayError("Unresolved", `case file ${path} has no digest: only a Repository sets it`, {
        retryable: true,
      });
    return { path, data: await blobs.get(digest) };
  });
  const { cases, errors } = loadCases(await Promise.all(read), inline);
  const [fault] = errors;
  if (!fault) return cases;
  const where = fault.location ? `${formatLocation(fault.location)}: ` : "";
  throw new SlipwayError("InvalidCases", `${where}${fault.message}`);
}
