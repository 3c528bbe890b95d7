import { availableParallelism, loadavg } from "node:os";

/** How busy the machine is, so that a figure can be judged: cores, and the load average over a minute. */
export function machine(): { cores: number; load: number } {
  return { cores: availableParallelism(), load: Number((loadavg()[0] ?? 0).toFixed(1)) };
}
