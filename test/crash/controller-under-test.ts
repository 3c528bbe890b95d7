import { appendFileSync } from "node:fs";
import { createLogger } from "../../controller/log.ts";
import { runController } from "../../controller/main.ts";
import { KillSwitch, parsePoint } from "./kill-switch.ts";
import { countLines } from "./sites.ts";

export interface UnderTest {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly stateDir: string;
  /** Where it notes its writes to the state store, one a line. */
  readonly sitesFile: string;
  /** Kill points, of which those at the state store are its own. */
  readonly crashAt: readonly string[];
  /** Where pods reach it on this machine, and above how many bytes they prepare Datasets. */
  readonly work?: { readonly port: number; readonly aboveBytes: number };
}

/*
 * The controller as it ships, except that it notes each write to its state store and can die at one of them.
 * Run as `node controller-under-test.ts JSON`, with an UnderTest.
 */
const setup = JSON.parse(process.argv[2] ?? "{}") as UnderTest;
const { kubeconfig, namespace, stateDir, sitesFile, work } = setup;
const killSwitch = new KillSwitch(setup.crashAt.map(parsePoint), await countLines(sitesFile));
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("asked to stop")));

const die = () => process.kill(process.pid, "SIGKILL");
// The supervisor holds the other end, which closes however that process ends: by Ctrl-C this one would stay otherwise.
process.stdin.once("end", die).resume().unref();

let dieAfter: string | undefined;

await runController(
  {
    kubeconfig,
    namespace,
    stateDir,
    host: "127.0.0.1",
    port: work?.port ?? 0,
    ...(work ? { workUrl: `http://127.0.0.1:${work.port}`, prepareInProcessBytes: work.aboveBytes } : {}),
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
  },
  stop.signal,
);
