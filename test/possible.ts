/**
 * Whether tests can run that need more than each machine has.
 * @throws Error where SLIPWAY_REQUIRE_NODE is 1, as in CI, and something is missing: skipped tests look like passed ones
 */
export function possible(what: string, missing: readonly string[]): boolean {
  if (missing.length === 0) return true;
  const why = `here this is missing: ${missing.join(", ")}`;
  if (process.env.SLIPWAY_REQUIRE_NODE === "1")
    throw new Error(`SLIPWAY_REQUIRE_NODE=1 asks for ${what}, but ${why}`);
  console.error(`no tests of ${what}: ${why}`);
  return false;
}
