/** Hex digits of the digest in a run's name: 128 bits, so that nobody makes a second content with the same name. */
const ID_LENGTH = 32;
const MAX_LENGTH = 63;

/**
 * The name of the EvalRun of a suite: `<prefix><suite>-<id>`, at most 63 characters; a long suite name is cut.
 * @param digest of everything that the run compares, in hex
 */
export function evalRunName(prefix: string, suite: string, digest: string): string {
  const id = digest.slice(0, ID_LENGTH);
  // After a dot no dash may follow.
  const cut = suite.slice(0, MAX_LENGTH - prefix.length - id.length - 1).replace(/[-.]+$/, "");
  return `${prefix}${cut}-${id}`;
}
