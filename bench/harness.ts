import setup from "../test/devcluster/global-setup.ts";

/** Progress, for people: standard output is for the one JSON line. */
export const progress = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

/** Runs a bench on a cluster and a forge of its own, which go when it ends or is interrupted. */
export async function onCluster(bench: () => Promise<object>): Promise<void> {
  const teardown = await setup();
  const interrupted = Promise.withResolvers<never>();
  for (const name of ["SIGINT", "SIGTERM"] as const)
    process.once(name, () => interrupted.reject(new Error(`ended by ${name}`)));
  try {
    const line = await Promise.race([bench(), interrupted.promise]);
    process.stdout.write(`${JSON.stringify(line)}\n`);
  } finally {
    await teardown();
  }
}

/** The smallest value that at least `share` of them do not exceed (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error("no values to take a percentile of");
  return value;
}

/** Milliseconds as seconds with three decimals. */
export const seconds = (ms: number): number => Math.round(ms) / 1_000;
