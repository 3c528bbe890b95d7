import { appendFileSync } from "node:fs";
import { createLogger } from "../../controller/log.ts";
import { runController } from "../../controller/main.ts";
import { KillSwitch, parsePoint } from "./kill-switch.ts";

/*
 * The controller as it ships, except that it notes each write to its state store and can die at one of them.
 * Run as `node controller-under-test.ts KUBECONFIG NAMESPACE STATE_DIR SITES_FILE`.
 */
const [kubeconfig = "", namespace = "", stateDir = "", sitesFile = ""] = process.argv.slice(2);
const point = process.env.SLIPWAY_CRASH_AT;
const killSwitch = new KillSwitch(point ? parsePoint(point) : undefined);
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("asked to stop")));

let dieAfter: string | undefined;
const die = () => process.kill(process.pid, "SIGKILL");

await runController(
  {
    kubeconfig,
    namespace,
    stateDir,
    host: "127.0.0.1",
    port: 0,
    leaderElection: false,
    log: createLogger(),
    onWrite: (name, phase) => {
      const site = `store ${name}`;
      if (phase === "after") {
        if (dieAfter === site) die();
        return;
      }
      appendFileSync(sitesFile, `${site}\n`);
      const deadly = killSwitch.enter(site);
      if (deadly === "before") die();
      if (deadly === "after") dieAfter = site;
    },
    onListening: (url) => process.stdout.write(`${JSON.stringify({ url })}\n`),
  },
  stop.signal,
);
