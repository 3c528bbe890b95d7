import { startCluster } from "../../../controller/dev/cluster.ts";

/** Starts the cluster "crash" and dies without any clean-up when a step is reported. */
const [stateDir, step] = process.argv.slice(2);
await startCluster({
  name: "crash",
  stateDir,
  provider: "local",
  report: (message) => {
    if (step !== undefined && message.startsWith(step)) process.kill(process.pid, "SIGKILL");
  },
});
